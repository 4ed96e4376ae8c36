import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePattern, PATTERN_INPUT, PATTERN_LENGTH } from "./pattern.ts";

const letter = fc.constantFrom("a", "b", "c", "A", "-", "1", " ");
const { pattern } = fc.letrec<{ pattern: string; piece: string; atom: string }>((tie) => ({
  atom: fc.oneof(
    { depthSize: "small" },
    letter,
    fc.constantFrom(".", "[ab]", "[^a]", "[a-c1]", "\\d", "\\w", "\\s", "\\W", "[\\w-]", "\\x61", "\\."),
    tie("pattern").map((inner) => `(${inner})`),
    tie("pattern").map((inner) => `(?:${inner})`),
  ),
  piece: fc.oneof(
    { depthSize: "small" },
    tie("atom"),
    fc
      .tuple(tie("atom"), fc.constantFrom("*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "+?", "{0}"))
      .map(([atom, quantifier]) => atom + quantifier),
    fc.constantFrom("^", "$", "\\b", "\\B"),
  ),
  pattern: fc
    .array(
      fc.array(tie("piece"), { maxLength: 4 }).map((pieces) => pieces.join("")),
      { minLength: 1, maxLength: 3 },
    )
    .map((parts) => parts.join("|")),
}));
const text = fc.array(fc.oneof(letter, fc.constantFrom("\n", "ä", "_", ".")), { maxLength: 8 }).map((all) => all.join(""));

describe("compilePattern", () => {
  test("finds what JavaScript's own engine finds", () => {
    fc.assert(
      fc.property(pattern, text, fc.boolean(), (source, input, ignoreCase) => {
        let ours: ReturnType<typeof compilePattern>;
        try {
          ours = compilePattern(ignoreCase ? `(?i)${source}` : source);
        } catch (error) {
          expect(String(error)).toMatch(/too many steps|longer than|nested deeper/);
          return;
        }
        expect(ours.test(input)).toBe(new RegExp(source, ignoreCase ? "i" : "").test(input));
      }),
      { numRuns: 3000 },
    );
  });

  test.each(["(a+)+$", "^(a|a)*$", "(a|aa)+$", "^a*a*a*a*a*a*a*$", "(.*)*x", "((a{0,9}){0,9})*c"])(
    "%s takes no longer for a long text",
    (source) => {
      const started = performance.now();
      expect(compilePattern(source).test(`${"a".repeat(PATTERN_INPUT - 1)}b`)).toBe(false);
      expect(performance.now() - started).toBeLessThan(2000);
    },
  );

  test.each([
    ["(", "no )"],
    [")", "no ("],
    ["[a", "no ]"],
    ["a**", "repetition follows"],
    ["*a", "nothing that it belongs to"],
    ["a\\", "ends with a backslash"],
    ["(a)\\1", "isn't known"],
    ["(?=a)", "other than (?:…)"],
    ["(?<!a)b", "other than (?:…)"],
    ["\\p", "isn't known"],
    ["a{2,1}", "wrong way round"],
    ["[b-a]", "wrong way round"],
    ["^*", "follows an anchor"],
    ["(a{100}){100}", "too many steps"],
    ["a".repeat(PATTERN_LENGTH + 1), "longer than"],
    [`${"(".repeat(40)}a${")".repeat(40)}`, "nested deeper"],
  ])("refuses %s", (source, why) => {
    expect(() => compilePattern(source)).toThrowError(
      expect.objectContaining({ code: "RELAY_PATTERN", message: expect.stringContaining(why) }),
    );
  });

  test("is total: any string is compiled or refused with its code", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40, unit: "binary" }), (source) => {
        try {
          compilePattern(source).test(source);
        } catch (error) {
          expect(error).toMatchObject({ code: "RELAY_PATTERN" });
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("a text that is too long matches nothing", () => {
    expect(compilePattern("a").test("a".repeat(PATTERN_INPUT))).toBe(true);
    expect(compilePattern("a").test("a".repeat(PATTERN_INPUT + 1))).toBe(false);
  });
});
