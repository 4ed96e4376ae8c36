import { expect, it } from "vitest";
import { abortError, codedErrors, codeOf, errorFromJson, errorToJson, hasCode } from "./errors.ts";

const fail = codedErrors({ DISK_FULL: "no room", DISK_GONE: "no disk" });

it("keeps code, hint, details and the cause", () => {
  const cause = Object.assign(new Error("write failed"), { code: "ENOSPC" });
  const error = fail("DISK_FULL", "could not write /x", { hint: "make room", cause, details: { path: "/x" } });
  expect(error).toMatchObject({
    code: "DISK_FULL",
    message: "could not write /x",
    hint: "make room",
    cause,
    details: { path: "/x" },
  });
  expect(hasCode(error, "DISK_GONE", "DISK_FULL")).toBe(true);
  expect(codeOf(cause)).toBe("ENOSPC");
  expect([codeOf(undefined), codeOf({ code: 7 }), hasCode("text", "X")]).toEqual([undefined, undefined, false]);
});

it("goes over the wire and back with every cause", () => {
  const several = new AggregateError([fail("DISK_GONE", "a"), new Error("b")], "both failed");
  const json = errorToJson(fail("DISK_FULL", "outer", { cause: several, details: { n: 1 } }));
  expect(json).toEqual({
    code: "DISK_FULL",
    message: "outer",
    details: { n: 1 },
    causes: [
      { code: "DISK_GONE", message: "a" },
      { code: "UNEXPECTED", message: "b" },
    ],
  });
  expect(errorToJson(errorFromJson(JSON.parse(JSON.stringify(json))))).toEqual(json);
});

it("cuts a chain of causes that never ends", () => {
  const loop = new Error("loop");
  loop.cause = loop;
  expect(JSON.stringify(errorToJson(loop)).length).toBeLessThan(2_000);
});

it("makes an Error of any abort reason", () => {
  expect(abortError(AbortSignal.abort(new Error("why"))).message).toBe("why");
  expect(codeOf(abortError(AbortSignal.abort("text")))).toBe("ABORTED");
});
