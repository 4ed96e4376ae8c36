import fc from "fast-check";
import { expect, test } from "vitest";
import { changedLines, diffLines } from "./line-diff.ts";

const lines = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 });

/** The length of the longest common subsequence, the slow and plain way. */
function common(a: readonly string[], b: readonly string[]): number {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i]![j] = a[i - 1] === b[j - 1] ? table[i - 1]![j - 1]! + 1 : Math.max(table[i - 1]![j]!, table[i]![j - 1]!);
  return table[a.length]![b.length]!;
}

test("a diff is both texts, and no shorter one is", () => {
  fc.assert(
    fc.property(lines, lines, (a, b) => {
      const diff = diffLines(a, b);
      expect(diff.flatMap(([mark, line]) => (mark === "+" ? [] : [line]))).toEqual(a);
      expect(diff.flatMap(([mark, line]) => (mark === "-" ? [] : [line]))).toEqual(b);
      expect(diff.filter(([mark]) => mark === " ")).toHaveLength(common(a, b));
    }),
  );
});

test("what is shown is what changed, and where", () => {
  const before = ["1", "2", "3", "4", "5", "6", "7", "8"];
  const after = ["1", "2", "3", "4", "new", "5", "6", "7"];
  expect(changedLines(diffLines(before, after), 1)).toEqual(["  4", "+ new", "  5", "…", "  7", "- 8"]);
  expect(changedLines(diffLines(before, before))).toEqual([]);
});
