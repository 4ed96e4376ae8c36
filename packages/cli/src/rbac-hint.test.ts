import type { ErrorJson } from "@shipside/core";
import { expect, test } from "vitest";
import { pointAtRbac } from "./rbac-hint.ts";

const refused: ErrorJson = { code: "KUBE_FORBIDDEN", message: "no", hint: "ask for this rule", details: { verb: "get" } };

test("a refusal by RBAC, also behind another error, points at --print-rbac, once", () => {
  const pointed = pointAtRbac(refused);
  expect(pointed.hint).toMatch(/^ask for this rule\n.*--print-rbac/);
  expect(pointAtRbac(pointed)).toEqual(pointed);
  expect(pointAtRbac({ code: "DIAL_FAILED", message: "no", causes: [refused] }).hint).toMatch(
    /^the same command with --print-rbac/,
  );
});

test("other errors, and refusals that no Role helps against, stay as they are", () => {
  for (const error of [
    { code: "KUBE_UNAUTHORIZED", message: "no", hint: "log in" },
    { code: "KUBE_FORBIDDEN", message: "a policy says no", hint: "ask the administrators" },
  ])
    expect(pointAtRbac(error)).toEqual(error);
});
