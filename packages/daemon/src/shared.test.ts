import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createShared } from "./shared.ts";

function resources() {
  let open = 0;
  let most = 0;
  return {
    get open() {
      return open;
    },
    get most() {
      return most;
    },
    async make() {
      await turn();
      most = Math.max(most, ++open);
      return {
        async close() {
          await turn();
          open--;
        },
      };
    },
  };
}

test("opened once for all holders, closed with the last", async () => {
  const shared = createShared<{ close(): Promise<void> }>();
  const r = resources();
  const held = await Promise.all([1, 2, 3].map(() => shared.acquire("a", r.make)));
  expect(new Set(held.map(({ value }) => value)).size).toBe(1);
  await held[0]!.release();
  await held[0]!.release();
  await held[1]!.release();
  expect(r.open).toBe(1);
  await held[2]!.release();
  expect([r.open, shared.size]).toEqual([0, 0]);
});

test("a failed opening is told to all who waited, and not kept", async () => {
  const shared = createShared<{ close(): Promise<void> }>();
  const fails = (): Promise<never> => Promise.reject(new Error("no"));
  const results = await Promise.allSettled([shared.acquire("a", fails), shared.acquire("a", fails)]);
  expect(results.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(shared.size).toBe(0);
  const r = resources();
  const { release } = await shared.acquire("a", r.make);
  await release();
  expect(r.open).toBe(0);
});

test("never two of a key at once, and none left, in any order of acquiring and letting go", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom("acquire", "release"), fc.nat(9)), { maxLength: 30 }), async (steps) => {
      const shared = createShared<{ close(): Promise<void> }>();
      const r = resources();
      const held: Array<Promise<{ release(): Promise<void> }>> = [];
      for (const [step, n] of steps) {
        if (step === "acquire") held.push(shared.acquire("key", r.make));
        else if (held.length > 0) void held.splice(n % held.length, 1)[0]!.then(({ release }) => release());
        if (n % 3 === 0) await turn();
      }
      await Promise.all(held.map(async (h) => (await h).release()));
      for (let i = 0; i < 10; i++) await turn();
      expect([r.open, r.most <= 1, shared.size]).toEqual([0, true, 0]);
    }),
    { numRuns: 50 },
  );
});

test("an opening goes on while anybody waits for it, and is aborted with the last", async () => {
  const shared = createShared<{ close(): Promise<void> }>();
  let aborted = 0;
  const open = (signal: AbortSignal) =>
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        aborted++;
        reject(new Error("aborted"));
      });
    });
  const [first, second] = [new AbortController(), new AbortController()];
  const waits = [shared.acquire("a", open, first.signal), shared.acquire("a", open, second.signal)];
  const results = Promise.allSettled(waits);
  await turn();
  first.abort(new Error("first went"));
  await expect(waits[0]).rejects.toThrow("first went");
  expect([aborted, shared.size]).toEqual([0, 1]);
  second.abort(new Error("second went"));
  await results;
  expect([aborted, shared.size]).toEqual([1, 0]);
});

test("a value that comes after everybody went is closed", async () => {
  const shared = createShared<{ close(): Promise<void> }>();
  const r = resources();
  const abort = new AbortController();
  const wait = shared.acquire("a", r.make, abort.signal);
  abort.abort(new Error("went"));
  await expect(wait).rejects.toThrow("went");
  await expect.poll(() => [r.open, r.most]).toEqual([0, 1]);
});
