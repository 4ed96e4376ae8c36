import { ShipsideError } from "@shipside/core";
import { ERROR_CATALOGS } from "@shipside/daemon";
import { TESTKIT_ERRORS } from "@shipside/testkit";
import { expect, test } from "vitest";
import { CLI_ERRORS } from "./errors.ts";
import { EXIT, EXIT_CODE_OF, exitCodeOf } from "./exit-codes.ts";

const catalogs = { ...ERROR_CATALOGS, testkit: TESTKIT_ERRORS, cli: CLI_ERRORS };

test.each(Object.entries(catalogs))("every code of %s has an exit code", (_name, catalog) => {
  expect(Object.keys(catalog).filter((code) => !Object.hasOwn(EXIT_CODE_OF, code))).toEqual([]);
});

test("no exit code is given to what no package throws", () => {
  // The dialer's codes are described by its seam: dialers of plugins throw them too.
  const seams = ["DIAL_REFUSED", "DIAL_GONE", "DIAL_FAILED"];
  const known = new Set([...seams, ...Object.values(catalogs).flatMap((catalog) => Object.keys(catalog))]);
  expect(Object.keys(EXIT_CODE_OF).filter((code) => !known.has(code))).toEqual([]);
});

test("no error ends with success, and none is taken for a signal", () => {
  for (const code of Object.values(EXIT_CODE_OF)) expect(code).toBeGreaterThan(0);
  for (const code of Object.values(EXIT)) expect(code).toBeLessThan(128);
  expect(exitCodeOf(new Error("no code"))).toBe(EXIT.unexpected);
  expect(exitCodeOf(new ShipsideError("SOMETHING_NEW", ""))).toBe(EXIT.unexpected);
  expect(exitCodeOf(new ShipsideError("toString", ""))).toBe(EXIT.unexpected);
  expect(exitCodeOf(undefined)).toBe(EXIT.unexpected);
  expect(exitCodeOf(new ShipsideError("KUBE_FORBIDDEN", ""))).toBe(EXIT.forbidden);
});
