import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { eventually } from "../fixtures/eventually.ts";
import { hedged } from "./hedge.ts";

const never = (signal: AbortSignal): Promise<string> =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

describe("a hedged attempt", () => {
  const options = { everyMs: 20, atMost: 2, signal: new AbortController().signal, discard: () => {} };

  test("starts others while one hangs, and takes the first answer", async () => {
    let started = 0;
    const answer = await hedged(async (signal) => (++started === 3 ? "third" : never(signal)), options);
    expect(answer).toBe("third");
    expect(started).toBe(3);
  });

  test("keeps only so many under way, and gives up all of them in the end", async () => {
    let live = 0;
    let most = 0;
    const attempt = async (signal: AbortSignal): Promise<string> => {
      most = Math.max(most, ++live);
      return never(signal).finally(() => live--);
    };
    await expect(hedged(attempt, { ...options, signal: AbortSignal.timeout(150) })).rejects.toMatchObject({ name: "TimeoutError" });
    await eventually(() => expect(live).toBe(0));
    expect(most).toBeLessThanOrEqual(3);
  });

  test("gets rid of what comes second", async () => {
    const discarded: string[] = [];
    let started = 0;
    const attempt = async (): Promise<string> => {
      const name = `attempt ${++started}`;
      await sleep(started === 1 ? 60 : 30);
      return name;
    };
    const answer = await hedged(attempt, { ...options, discard: (name) => discarded.push(name) });
    expect(started).toBeGreaterThan(1);
    await eventually(() =>
      expect([answer, ...discarded].sort()).toEqual(Array.from({ length: started }, (_, i) => `attempt ${i + 1}`)),
    );
  });

  test("fails with the first failure", async () => {
    await expect(hedged(() => Promise.reject(new Error("no")), options)).rejects.toThrow("no");
  });
});
