import { setImmediate as tick } from "node:timers/promises";
import { expect, test } from "vitest";
import { createTurns } from "./turns.ts";

test("one piece of work at a time, in the order given, whatever fails", async () => {
  const turns = createTurns();
  const log: string[] = [];
  const piece = (name: string, fails = false) =>
    turns.run(async () => {
      log.push(`${name} begins`);
      await tick();
      log.push(`${name} ends`);
      if (fails) throw new Error(name);
      return name;
    });
  const results = await Promise.allSettled([piece("a"), piece("b", true), piece("c")]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(log).toEqual(["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});

test("the end comes last and once, and is shared", async () => {
  const turns = createTurns();
  const log: string[] = [];
  const work = turns.run(async () => {
    await tick();
    log.push("work");
  });
  const end = async (): Promise<void> => void log.push("end");
  expect(turns.ended).toBe(false);
  const ending = turns.end(end);
  expect(turns.ended).toBe(true);
  await Promise.all([work, ending, turns.end(end)]);
  await turns.end(end);
  expect(log).toEqual(["work", "end"]);
});

test("an end that failed is told to all who wait for it, and is tried again", async () => {
  const turns = createTurns();
  let tries = 0;
  const end = async (): Promise<void> => {
    if (++tries === 1) throw new Error("busy");
  };
  const both = await Promise.allSettled([turns.end(end), turns.end(end)]);
  expect(both.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(turns.ended).toBe(false);
  await turns.end(end);
  await turns.end(end);
  expect(tries).toBe(2);
});
