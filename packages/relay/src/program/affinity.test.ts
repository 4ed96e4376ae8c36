import fc from "fast-check";
import { expect, test } from "vitest";
import { inOrderFor } from "./affinity.ts";

const addresses = fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 8 });

test("all of them once, in an order that doesn't hang on the one in which they are given", () => {
  fc.assert(
    fc.property(fc.ipV4(), addresses, (client, all) => {
      const ordered = inOrderFor(client, all);
      expect([...ordered].sort()).toEqual([...all].sort());
      expect(inOrderFor(client, [...all, ...all].reverse())).toEqual(ordered);
    }),
  );
});

test("one that goes leaves the others in their order, so that nobody else's clients move", () => {
  fc.assert(
    fc.property(fc.ipV4(), addresses, fc.nat(), (client, all, which) => {
      const gone = all[which % all.length];
      const left = inOrderFor(client, all).filter((address) => address !== gone);
      expect(
        inOrderFor(
          client,
          all.filter((address) => address !== gone),
        ),
      ).toEqual(left);
    }),
  );
});

test("clients are spread over all", () => {
  const pods = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
  const first = Array.from({ length: 300 }, (_, i) => inOrderFor(`10.1.${i >> 8}.${i & 255}`, pods)[0]!);
  for (const pod of pods) expect(first.filter((each) => each === pod).length).toBeGreaterThan(60);
});
