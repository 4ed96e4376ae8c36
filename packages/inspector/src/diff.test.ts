import fc from "fast-check";
import { expect, it } from "vitest";
import { diffAnswers, diffLines } from "./diff.ts";
import { makeExchange } from "./fixtures/exchange.ts";

const lines = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 25 });

it("each side can be read off the diff, within any bound", () => {
  fc.assert(
    fc.property(lines, lines, fc.nat(40), (left, right, bound) => {
      const diff = diffLines(left, right, bound);
      const side = (other: string) => diff.filter(({ kind }) => kind !== other).map(({ text }) => text);
      expect(side("right")).toEqual(left);
      expect(side("left")).toEqual(right);
    }),
  );
});

it("is as short as the longest common part allows", () => {
  const common = (a: readonly string[], b: readonly string[]): number => {
    let row = new Array<number>(b.length + 1).fill(0);
    for (const x of a) {
      const next = [0];
      for (const [at, y] of b.entries()) next.push(x === y ? row[at]! + 1 : Math.max(row[at + 1]!, next[at]!));
      row = next;
    }
    return row.at(-1)!;
  };
  fc.assert(
    fc.property(lines, lines, (left, right) => {
      expect(diffLines(left, right).filter(({ kind }) => kind === "same")).toHaveLength(common(left, right));
    }),
  );
});

it("compares JSON in its form, and says a changed secret without showing it", async () => {
  const one = makeExchange({
    responseHeaders: [
      ["set-cookie", "s=1"],
      ["content-type", "application/json"],
    ],
    responseBody: '{"a":1,"b":2}',
  });
  const two = makeExchange({
    responseHeaders: [
      ["set-cookie", "s=2"],
      ["content-type", "application/json"],
    ],
    responseBody: '{ "a": 1, "b": 3 }',
  });
  const { lines: found, headers, same } = await diffAnswers(one, two);
  expect(found.filter(({ kind }) => kind !== "same")).toEqual([
    { kind: "left", text: '  "b": 2' },
    { kind: "right", text: '  "b": 3' },
  ]);
  expect(headers.map(({ name }) => name)).toEqual(["set-cookie"]);
  expect(JSON.stringify(headers)).not.toContain("s=");
  expect(same).toBe(false);
});
