import { expect, test } from "vitest";
import { createInterrupt } from "./interrupt.ts";

const silent = { warn: () => {} };

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("%s aborts, and is exit code %i", async (name, code) => {
  using interrupt = createInterrupt(silent);
  expect([interrupt.by, interrupt.exitCode]).toEqual([undefined, 0]);
  process.emit(name);
  await interrupt.came;
  expect(interrupt.signal.reason).toMatchObject({ code: "ABORTED" });
  expect([interrupt.by, interrupt.exitCode]).toEqual([name, code]);
});

test("the second says that it is heard, the third ends at once", () => {
  const warnings: string[] = [];
  const exits: number[] = [];
  using _interrupt = createInterrupt({ warn: (text) => warnings.push(text) }, (code) => exits.push(code));
  process.emit("SIGINT");
  process.emit("SIGINT");
  expect([warnings.length, exits]).toEqual([1, []]);
  process.emit("SIGINT");
  expect(exits).toEqual([130]);
});

test("diverted signals are a child's, until it has ended, and what came by then", async () => {
  using interrupt = createInterrupt(silent);
  const taken: string[] = [];
  const undo = interrupt.divert((signal) => taken.push(signal));
  process.emit("SIGTERM");
  const undone = undo();
  process.emit("SIGINT");
  await undone;
  expect([taken, interrupt.by]).toEqual([["SIGTERM", "SIGINT"], undefined]);
});

test("after a child's end the first says that it is heard, as there is a clean-up, and the second ends at once", async () => {
  const warnings: string[] = [];
  const exits: number[] = [];
  using interrupt = createInterrupt({ warn: (text) => warnings.push(text) }, (code) => exits.push(code));
  await interrupt.divert(() => {})();
  process.emit("SIGTERM");
  expect([warnings.length, exits, interrupt.by, interrupt.signal.aborted]).toEqual([1, [], undefined, false]);
  process.emit("SIGTERM");
  expect(exits).toEqual([143]);
});

test("nothing of it stays", () => {
  const before = process.listenerCount("SIGTERM");
  createInterrupt(silent)[Symbol.dispose]();
  expect(process.listenerCount("SIGTERM")).toBe(before);
});
