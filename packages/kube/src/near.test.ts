import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { distance, nearMisses } from "./near.ts";

describe("edit distance", () => {
  test("known pairs", () => {
    expect(distance("kitten", "sitting")).toBe(3);
    expect(distance("", "abc")).toBe(3);
    expect(distance("core", "core")).toBe(0);
    expect(distance("coer", "core")).toBe(1);
    expect(distance("shpo", "shop")).toBe(1);
  });

  test("symmetric, zero only for equals, bounded by the lengths, one for one edit", () => {
    const word = fc.string({ maxLength: 8 });
    fc.assert(
      fc.property(word, word, fc.nat(), (a, b, at) => {
        expect(distance(a, b)).toBe(distance(b, a));
        expect(distance(a, b) === 0).toBe(a === b);
        expect(distance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(distance(a, b)).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
        const cut = at % (a.length + 1);
        expect(distance(a, `${a.slice(0, cut)}!${a.slice(cut)}`)).toBe(1);
      }),
    );
  });
});

describe("near misses", () => {
  test("slips first, then names within names, nothing else; none twice", () => {
    expect(nearMisses("coer", ["core", "core", "core-api", "database", "cores"])).toEqual(["core"]);
    expect(nearMisses("core", ["core-api", "score", "leaf", "my-core-worker"])).toEqual(["score", "core-api", "my-core-worker"]);
    expect(nearMisses("x", ["yyyy"])).toEqual([]);
    expect(nearMisses("Prod", ["prod"])).toEqual(["prod"]);
  });

  test("no more than asked for", () => {
    expect(
      nearMisses(
        "app",
        Array.from({ length: 20 }, (_, i) => `app${i}`),
        3,
      ),
    ).toHaveLength(3);
  });
});
