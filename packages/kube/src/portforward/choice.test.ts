import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ConnectionFacts, chooseConnection } from "./choice.ts";

const LIMITS = { spread: 4, maxConnections: 16, streamsPerConnection: 256 };
const free: ConnectionFacts = { streams: 0, retired: false, stuck: false, busy: false };

const facts: fc.Arbitrary<ConnectionFacts> = fc.record({
  streams: fc.integer({ min: 0, max: 300 }),
  retired: fc.boolean(),
  stuck: fc.boolean(),
  busy: fc.boolean(),
});

describe("the choice of a connection", () => {
  test.each<[string, ConnectionFacts[], number, { use: number | undefined; prepare: boolean }]>([
    ["none: wait for one", [], 0, { use: undefined, prepare: true }],
    ["none, one under way: wait for that", [], 1, { use: undefined, prepare: false }],
    ["an empty one, and make the next ready", [free], 0, { use: 0, prepare: true }],
    ["an empty one, another stays ready", [free, free], 0, { use: 0, prepare: false }],
    [
      "the one with the fewest streams, while another is made",
      [
        { ...free, streams: 3 },
        { ...free, streams: 1 },
      ],
      0,
      { use: 1, prepare: true },
    ],
    ["never beside a bulk stream", [{ ...free, streams: 1, busy: true }], 0, { use: undefined, prepare: true }],
    ["never on one that stands still", [{ ...free, streams: 1, stuck: true }], 0, { use: undefined, prepare: true }],
    ["shared, where the spread is reached", Array(4).fill({ ...free, streams: 2 }), 0, { use: 0, prepare: false }],
    ["a fresh one, where all are full", Array(4).fill({ ...free, streams: 256 }), 0, { use: undefined, prepare: true }],
    [
      "even a busy one, where there may be no more",
      Array(16).fill({ ...free, streams: 9, busy: true }),
      0,
      { use: 0, prepare: false },
    ],
  ])("%s", (_name, connections, underWay, expected) => {
    expect(chooseConnection(connections, underWay, LIMITS)).toEqual(expected);
  });

  test("never takes a retired one, never a stuck or busy one while there may be more, and never makes more than allowed", () => {
    fc.assert(
      fc.property(fc.array(facts, { maxLength: 20 }), fc.integer({ min: 0, max: 1 }), (connections, underWay) => {
        const { use, prepare } = chooseConnection(connections, underWay, LIMITS);
        const open = connections.filter(({ retired }) => !retired).length;
        if (use !== undefined) {
          const chosen = connections[use] as ConnectionFacts;
          expect(chosen.retired).toBe(false);
          if (open + underWay < LIMITS.maxConnections) expect(chosen.stuck || chosen.busy).toBe(false);
          if (prepare) expect(open + underWay).toBeLessThan(LIMITS.spread);
        } else {
          // To wait is right only where one may be made.
          expect(open).toBeLessThan(LIMITS.maxConnections);
        }
        if (prepare) expect(underWay).toBe(0);
      }),
    );
  });
});
