import fc from "fast-check";
import { expect, it } from "vitest";
import { envFileValue } from "./env-file.ts";

it("finds what was written between single quotes, whatever stands around it", () => {
  const value = fc.string({ unit: "grapheme" }).map((text) => text.replace(/['\r]/g, ""));
  const entry = fc.record({ value, lead: fc.constantFrom("", "  ", "\t"), tail: fc.constantFrom("", " # it's a note", "\t") });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (entries) => {
      const text = entries.map(({ value, lead, tail }, i) => `# K${i}='no'\n${lead}K${i}='${value}'${tail}\n`).join("\n");
      for (const [i, { value }] of entries.entries()) expect(envFileValue(text, `K${i}`)).toBe(value);
      expect(envFileValue(text, "NONE")).toBeUndefined();
    }),
  );
});

it.each([
  ["A=plain", "line 1: value must be enclosed in single quotes"],
  ['# note\nA="double"', "line 2: value must be enclosed in single quotes"],
  ["B='1'\nA = 'x'", "line 2: whitespace before '=' is not allowed"],
  ["A='x'y", "line 1: unexpected content after closing quote"],
  ["A='x\ny", "starting at line 1: unclosed single quote"],
  ["nonsense\nA='x'", "line 1: missing '='"],
])("refuses %j", (text, message) => expect(() => envFileValue(text, "A")).toThrow(message));

it("takes a value behind a blank as empty, and the first of two", () => {
  expect(envFileValue("A= 'x'\nB='1'\nB='2'", "A")).toBe("");
  expect(envFileValue("A= 'x'\nB='1'\nB='2'", "B")).toBe("1");
});
