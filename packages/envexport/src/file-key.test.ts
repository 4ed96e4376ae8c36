import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fileKey } from "./file-key.ts";

const FILE = [
  "# a comment",
  "",
  "  ONE='1'",
  "SPACES=' lead # and trail '\t# comment",
  "LINES='a",
  "",
  "  # b='x",
  "c'",
  "EMPTY=''",
  "APART= 'x'",
  "DOLLAR='$HOME \\n \"q\"'",
  "ONE='again'",
  "LAST='end'",
].join("\n");

describe("fileKey", () => {
  it("tells of what is wrong only on its way to the key", () => {
    // A quote in the middle of LINES ends it there.
    expect(fileKey(FILE, "SPACES")).toBe(" lead # and trail ");
    for (const key of ["LINES", "LAST"]) expect(() => fileKey(FILE, key)).toThrow(/^line 7: something stands behind/);
  });

  const good = FILE.replace("b='x", "b=x");
  it.each([
    ["LINES", "a\n\n  # b=x\nc"],
    ["EMPTY", undefined],
    ["APART", undefined],
    ["DOLLAR", '$HOME \\n "q"'],
    ["ONE", "1"],
    ["LAST", "end"],
    ["NONE", undefined],
    ["one", undefined],
  ])("gives %s as the kubelet reads it", (key, wanted) => expect(fileKey(good, key)).toBe(wanted));

  it.each([
    ["A", "line 1: there is no ="],
    ["='x'", "line 1: there is no name"],
    ["A ='x'", "line 1: there is a space before the ="],
    ["A=s3cret", "line 1: the value is not in single quotes"],
    ['A="s3cret"', "line 1: the value is not in single quotes"],
    ["#\nA='s3cret", "line 2: the quote is never closed"],
    ["A='s3cret''more'", "line 1: something stands behind the closing quote"],
  ])("refuses %j without telling its text", (text, message) => expect(() => fileKey(text, "Z")).toThrow(new Error(message)));

  it("reads as a shell does what both read", () => {
    const value = fc.string({ unit: fc.constantFrom(...'ab "$`\\#=\n\té'), minLength: 1 }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 4 }), (values) => {
        const text = values.map((each, at) => `# note\n V${at}='${each}' # ${at}\n`).join("\n");
        const script = `${text}${values.map((_, at) => `printf '%s\\0' "$V${at}"`).join("\n")}`;
        const shell = execFileSync("sh", ["-c", script]).toString().split("\0").slice(0, -1);
        expect(values.map((_, at) => fileKey(text, `V${at}`))).toEqual(shell);
      }),
      { numRuns: 15 },
    );
  });
});
