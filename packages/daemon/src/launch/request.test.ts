import fc from "fast-check";
import { expect, test } from "vitest";
import { checkLaunchRequest, parseIds, parseLaunchWord } from "./request.ts";

const request = { env: { HOME: "/h" }, exec: ["/node", "main.js"], log: "/h/log" };

test("a request goes through as it is; anything else is no request", () => {
  expect(checkLaunchRequest({ ...request, more: 1 })).toEqual(request);
  for (const wrong of [
    undefined,
    null,
    [],
    "x",
    {},
    { ...request, env: null },
    { ...request, env: ["A=1"] },
    { ...request, env: { A: 1 } },
    { ...request, env: { "A=B": "" } },
    { ...request, env: { A: "\0" } },
    { ...request, exec: [] },
    { ...request, exec: ["node"] },
    { ...request, exec: ["/node", 1] },
    { ...request, log: "log" },
    { ...request, log: "/l\0g" },
  ]) {
    expect(() => checkLaunchRequest(wrong), JSON.stringify(wrong)).toThrow(expect.objectContaining({ code: "LAUNCH_FAILED" }));
  }
  fc.assert(
    fc.property(fc.anything(), (value) => {
      expect(() => checkLaunchRequest(value)).toThrow(expect.objectContaining({ code: "LAUNCH_FAILED" }));
    }),
  );
});

test("ids are ordinary users' only", () => {
  expect(parseIds(["node", "x", "--uid", "1000", "--gid", "0"])).toEqual({ uid: 1000, gid: 0 });
  for (const [uid, gid] of [
    ["0", "0"],
    ["-1", "1"],
    ["4294967295", "1"],
    ["1e3", "1"],
    ["1", ""],
    ["01", "1"],
    ["1", "x"],
  ]) {
    expect(() => parseIds(["--uid", uid!, "--gid", gid!]), `${uid} ${gid}`).toThrow(
      expect.objectContaining({ code: "LAUNCH_FAILED" }),
    );
  }
  expect(() => parseIds(["--gid", "1"])).toThrow(expect.objectContaining({ code: "LAUNCH_FAILED" }));
});

test("a word is one of two; anything else is none", () => {
  expect(parseLaunchWord('{"ready":true,"helper":1,"daemon":2}')).toEqual({ ready: true, helper: 1, daemon: 2, undone: [] });
  expect(parseLaunchWord('{"error":{"code":"A","message":"b"}}')).toEqual({ error: { code: "A", message: "b" } });
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
      expect(parseLaunchWord(line)).toBeUndefined();
    }),
  );
});
