import fc from "fast-check";
import { expect, test } from "vitest";
import { proportionalStep, rollingBounds, rollingStep, type Share } from "./rollout-math.ts";

test.each([
  [{ maxSurge: "25%", maxUnavailable: "25%" }, 10, { surge: 3, unavailable: 2 }],
  [{ maxSurge: "25%", maxUnavailable: "25%" }, 1, { surge: 1, unavailable: 0 }],
  [{ maxSurge: 0, maxUnavailable: 0 }, 3, { surge: 0, unavailable: 1 }],
  [{ maxSurge: 0, maxUnavailable: "10%" }, 3, { surge: 0, unavailable: 1 }],
  [{ maxSurge: 1, maxUnavailable: 5 }, 3, { surge: 1, unavailable: 3 }],
  [undefined, 3, { surge: 0, unavailable: 1 }],
])("bounds of %j for %d", (rollingUpdate, replicas, expected) => expect(rollingBounds(rollingUpdate, replicas)).toEqual(expected));

const rollout = fc
  .record({
    replicas: fc.integer({ min: 1, max: 30 }),
    surge: fc.integer({ min: 0, max: 10 }),
    unavailable: fc.integer({ min: 0, max: 10 }),
    old: fc.integer({ min: 1, max: 3 }),
    /** How many pods become available in each round. */
    pace: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 5 }).filter((pace) => pace.some((n) => n > 0)),
  })
  .filter(({ replicas, surge, unavailable }) => surge + unavailable > 0 && unavailable <= replicas);

test("a rolling update stays within its bounds on every path, and arrives", () => {
  fc.assert(
    fc.property(rollout, ({ replicas, surge, unavailable, old, pace }) => {
      const spread = Array.from({ length: old }, (_, i) => Math.floor(replicas / old) + (i < replicas % old ? 1 : 0));
      const sets: Share[] = [{ name: "new", replicas: 0, available: 0 }];
      for (const [i, count] of spread.entries()) sets.push({ name: `old-${i}`, replicas: count, available: count });
      const [current, ...rest] = sets as [Share, ...Share[]];
      for (let round = 0; round < 500; round++) {
        for (const { name, to } of rollingStep({ replicas, surge, unavailable, current, old: rest })) {
          const set = sets.find((candidate) => candidate.name === name)!;
          set.replicas = to;
          set.available = Math.min(set.available, to);
        }
        const total = sets.reduce((sum, set) => sum + set.replicas, 0);
        const available = sets.reduce((sum, set) => sum + set.available, 0);
        expect(total).toBeLessThanOrEqual(replicas + surge);
        expect(available).toBeGreaterThanOrEqual(replicas - unavailable);
        current.available = Math.min(current.replicas, current.available + pace[round % pace.length]!);
        if (current.available === replicas && rest.every((set) => set.replicas === 0)) return;
      }
      throw new Error("never done");
    }),
  );
});

test("a rollout that never becomes available leaves enough of the old", () => {
  const current: Share = { name: "new", replicas: 0, available: 0 };
  const old: Share = { name: "old", replicas: 10, available: 10 };
  for (let round = 0; round < 20; round++) {
    for (const { name, to } of rollingStep({ replicas: 10, surge: 3, unavailable: 2, current, old: [old] })) {
      const set = name === "new" ? current : old;
      set.replicas = to;
      set.available = Math.min(set.available, to);
    }
  }
  expect([current.replicas, old.replicas]).toEqual([5, 8]);
});

test("scaling an unfinished rollout spreads the whole change, and nothing below 0", () => {
  const shares = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 2, maxLength: 5 });
  fc.assert(
    fc.property(shares, fc.integer({ min: 0, max: 200 }), (counts, allowed) => {
      const before = counts.map((replicas, i): Share => ({ name: `s${i}`, replicas, available: replicas }));
      const steps = proportionalStep(before, allowed);
      const after = before.map(({ name, replicas }) => steps.find((step) => step.name === name)?.to ?? replicas);
      expect(after.reduce((sum, count) => sum + count, 0)).toBe(allowed);
      for (const count of after) expect(count).toBeGreaterThanOrEqual(0);
    }),
  );
});
