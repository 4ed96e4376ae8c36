import fc from "fast-check";
import { expect, test } from "vitest";
import { createAffinity, pickEndpoint } from "./balance.ts";
import type { Candidate } from "./endpoints.ts";

const candidate = (key: string, state: "ready" | "draining" | "unready"): Candidate => ({
  key,
  address: "10.0.0.1",
  port: 80,
  ready: state === "ready",
  draining: state === "draining",
});

const candidates = fc
  .uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 3 }), fc.constantFrom("ready", "draining", "unready")), {
    selector: ([key]) => key,
    maxLength: 8,
  })
  .map((list) => list.map(([key, state]) => candidate(key, state as "ready")));

test("never picks what neither is ready nor drains, nor what was tried", () => {
  fc.assert(
    fc.property(candidates, fc.array(fc.nat(7)), fc.double({ min: 0, max: 0.999, noNaN: true }), (list, triedAt, lot) => {
      const tried = new Set(triedAt.flatMap((at) => list[at]?.key ?? []));
      const picked = pickEndpoint(list, { tried, random: () => lot });
      const left = list.filter(({ key }) => !tried.has(key));
      if (!picked) return left.every(({ ready, draining }) => !ready && !draining);
      return left.includes(picked) && (picked.ready || (picked.draining && left.every(({ ready }) => !ready)));
    }),
  );
});

test("draining ones are left out where they won't do", () => {
  const list = [candidate("a", "draining"), candidate("b", "unready")];
  expect(pickEndpoint(list)?.key).toBe("a");
  expect(pickEndpoint(list, { draining: false })).toBeUndefined();
});

test("the fewest connections win, whatever the lot", () => {
  fc.assert(
    fc.property(
      candidates.filter((list) => list.some(({ ready }) => ready)),
      fc.array(fc.nat(5), { minLength: 8, maxLength: 8 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (list, loads, lot) => {
        const load = (key: string): number => loads[list.findIndex((each) => each.key === key)] ?? 0;
        const picked = pickEndpoint(list, { load, random: () => lot })!;
        return list.filter(({ ready }) => ready).every(({ key }) => load(picked.key) <= load(key));
      },
    ),
  );
});

test("equals are picked by lot: all of them get some", () => {
  const list = ["a", "b", "c"].map((key) => candidate(key, "ready"));
  const picked = new Set(Array.from({ length: 200 }, () => pickEndpoint(list)?.key));
  expect(picked).toEqual(new Set(["a", "b", "c"]));
});

test("the sticky pod is kept while it is ready, against any load, and left when it isn't or was tried", () => {
  const list = [candidate("a", "ready"), candidate("b", "ready"), candidate("c", "draining")];
  const load = (key: string): number => (key === "b" ? 100 : 0);
  expect(pickEndpoint(list, { sticky: "b", load })?.key).toBe("b");
  expect(pickEndpoint(list, { sticky: "b", load, tried: new Set(["b"]) })?.key).toBe("a");
  expect(pickEndpoint(list, { sticky: "c" })?.key).not.toBe("c");
});

test("affinity lasts its time-out since the last connection", () => {
  const affinity = createAffinity(1_000);
  affinity.set("127.0.0.1", "a", 0);
  expect(affinity.get("127.0.0.1", 999)).toBe("a");
  affinity.set("127.0.0.1", "a", 999);
  expect(affinity.get("127.0.0.1", 1_998)).toBe("a");
  expect(affinity.get("127.0.0.1", 1_999)).toBeUndefined();
  expect(affinity.get("127.0.0.2", 0)).toBeUndefined();
});
