import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ownersIn, replaceBlock, tagOf, withoutOwners } from "./block.ts";

const put = (text: string, owner: string, ...entries: string[]): string =>
  replaceBlock(
    text,
    owner,
    entries.map((entry) => entry + tagOf(owner)),
    "\n",
  ).text;
const take = (text: string, owner: string): string => replaceBlock(text, owner, [], "\n").text;

/** Any bytes, and what comes close to our own lines. */
const foreign = fc
  .array(
    fc.oneof(
      fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 30 }),
      fc.constantFrom(
        "\n",
        "\r\n",
        "\r",
        "127.0.0.1\tlocalhost # mine",
        "\xef\xbb\xbf",
        "# >>> shipside:",
        "# <<< shipside:other <<<",
        " # shipside:",
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(""))
  .filter((text) => !/shipside:[abc]/.test(text));
const step = fc.record({
  owner: fc.constantFrom("a", "b", "c"),
  count: fc.integer({ min: 0, max: 3 }),
});

describe("replaceBlock", () => {
  it("gives back every byte after any changes of several owners, in any order", () => {
    fc.assert(
      fc.property(foreign, fc.array(step, { maxLength: 12 }), (original, steps) => {
        let text = original;
        for (const { owner, count } of steps) {
          text = put(text, owner, ...Array.from({ length: count }, (_, at) => `127.72.0.${at} ${owner}${at}`));
        }
        for (const owner of ["b", "a", "c"]) text = take(text, owner);
        expect(text).toBe(original);
      }),
      { numRuns: 500 },
    );
  });

  it("keeps the presence of a final newline, the line ends and a byte-order mark", () => {
    fc.assert(
      fc.property(foreign, (original) => {
        const text = put(original, "a", "127.72.0.1 x");
        if (original !== "") expect(text.endsWith("\n")).toBe(original.endsWith("\n") || original === "\xef\xbb\xbf");
        expect(text.startsWith("\xef\xbb\xbf")).toBe(original.startsWith("\xef\xbb\xbf"));
        expect(put(text, "a", "127.72.0.1 x")).toBe(text);
      }),
    );
    expect(put("1.1.1.1 a\r\n2.2.2.2 b\r\n", "o", "127.72.0.1 x")).toBe(
      "1.1.1.1 a\r\n2.2.2.2 b\r\n# >>> shipside:o >>>\r\n127.72.0.1 x # shipside:o\r\n# <<< shipside:o <<<\r\n",
    );
    expect(replaceBlock("", "o", ["l # shipside:o"], "\r\n").text).toMatch(/^# .*\r\nl.*\r\n#.*\r\n$/);
    expect(put("1.1.1.1 a\n2.2.2.2 b", "o", "127.72.0.1 x").endsWith("<<<\n2.2.2.2 b")).toBe(true);
  });

  it("keeps every foreign line when a person has deleted, doubled, nested or moved any of our lines", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("10.0.0.1 own-server", "# note", "", "10.0.0.2 b # x"), { maxLength: 6 }),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom("delete", "double", "move"), fc.nat()), { maxLength: 8 }),
        (lines, damage) => {
          const original = lines.map((line) => `${line}\n`).join("");
          const current = put(put(original, "a", "127.72.0.1 x", "127.72.0.2 y"), "b", "127.72.0.3 z")
            .split("\n")
            .slice(0, -1);
          for (const [at, how, to] of damage) {
            const ours = current.flatMap((line, index) => (line.includes("shipside:") ? [index] : []));
            const index = ours[at % Math.max(1, ours.length)];
            if (index === undefined) continue;
            const line = current[index] ?? "";
            if (how !== "double") current.splice(index, 1);
            if (how !== "delete") current.splice(to % (current.length + 1), 0, line);
          }
          const damaged = current.map((line) => `${line}\n`).join("");
          expect(withoutOwners(damaged)).toBe(original);
          expect(withoutOwners(put(damaged, "a", "127.72.0.9 w"))).toBe(original);
        },
      ),
      { numRuns: 300 },
    );
  });

  it("keeps a line that a person wrote between the markers", () => {
    const text = put("127.0.0.1 localhost\n", "o", "127.72.0.1 x").replace("# <<<", "10.0.0.1 mine\n# <<<");
    expect(take(text, "o")).toBe("127.0.0.1 localhost\n10.0.0.1 mine\n");
    expect(put(text, "o", "127.72.0.2 y")).toContain("10.0.0.1 mine\n");
  });

  it("keeps what was appended to an end marker that had lost its newline", () => {
    const text = `${put("127.0.0.1 localhost\n", "o", "127.72.0.1 x").trimEnd()}10.0.0.1 mine\n`;
    expect(take(text, "o")).toBe("127.0.0.1 localhost\n10.0.0.1 mine\n");
  });

  it("replaces the block where it stands", () => {
    const text = `${put("1.1.1.1 a\n", "o", "127.72.0.1 x")}2.2.2.2 b\n`;
    expect(put(text, "o", "127.72.0.2 y")).toBe(text.replace("127.72.0.1 x", "127.72.0.2 y"));
  });

  it("doesn't take an owner for another whose name it ends or begins", () => {
    const text = put(put("", "a", "1.1.1.1 one"), "xa", "2.2.2.2 two");
    expect(take(text, "a")).toBe(put("", "xa", "2.2.2.2 two"));
    expect([...ownersIn(put(text, "a.b", "3.3.3.3 three"))].sort()).toEqual(["a", "a.b", "xa"]);
  });
});
