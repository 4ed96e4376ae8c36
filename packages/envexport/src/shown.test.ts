import type { EnvEntry } from "@shipside/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { diffEntries, isSame } from "./diff.ts";
import { MASK, redact, redactor } from "./redact.ts";
import { selectEntries } from "./select.ts";

const entry = (name: string, value: string, sensitive = false): EnvEntry => ({
  name,
  value,
  origin: sensitive ? { from: "secret", name: "s", key: name } : { from: "literal", container: "c" },
  ...(sensitive && { sensitive }),
});
const names = (entries: readonly EnvEntry[]): string[] => entries.map(({ name }) => name);

describe("redact", () => {
  it("masks what is sensitive, and nothing of it is left", () => {
    const [open, closed] = redact([entry("A", "1"), entry("B", "s3cret", true)]);
    expect([open?.value, closed?.value]).toEqual(["1", MASK]);
  });

  it("takes secrets out of any text, in the forms in which they turn up", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 4 }).filter((text) => text.trim().length >= 4),
        fc.string(),
        fc.string(),
        (secret, before, after) => {
          const clean = redactor([entry("S", secret, true), entry("S2", `${secret}-more`, true)]);
          for (const form of [
            secret,
            JSON.stringify(secret).slice(1, -1),
            Buffer.from(secret).toString("base64"),
            `${secret}-more`,
          ]) {
            expect(clean(`${before} ${form} ${after}`)).toContain(MASK);
            expect(clean(`<${form}>`)).toBe(`<${MASK}>`);
          }
        },
      ),
    );
    const key = "-----BEGIN KEY-----\nabcdefgh\n-----END KEY-----";
    expect(redactor([entry("K", key, true)])("line: abcdefgh!")).toBe(`line: ${MASK}!`);
    expect(redactor([entry("K", "ab", true), entry("P", "plain")])("ab plain")).toBe("ab plain");
  });
});

describe("selectEntries", () => {
  const all = [entry("DB_HOST", "h"), entry("DB_PASSWORD", "p", true), entry("LEAF_PORT", "1"), entry("a.b", "x")];

  it("takes globs, secrets off, and settings over all", () => {
    expect(names(selectEntries(all, {}))).toEqual(names(all));
    expect(names(selectEntries(all, { only: ["DB_*", "?.b"] }))).toEqual(["DB_HOST", "DB_PASSWORD", "a.b"]);
    expect(names(selectEntries(all, { except: ["*_P*"] }))).toEqual(["DB_HOST", "a.b"]);
    expect(names(selectEntries(all, { secrets: false }))).toEqual(["DB_HOST", "LEAF_PORT", "a.b"]);
    expect(names(selectEntries(all, { only: ["ab", "DB"] }))).toEqual([]);
    const set = selectEntries(all, { only: ["DB_HOST"], except: ["NEW"], set: { DB_HOST: "other", NEW: "1" } });
    expect(set.map(({ name, value }) => `${name}=${value}`)).toEqual(["DB_HOST=other", "NEW=1"]);
  });
});

describe("diffEntries", () => {
  it("tells what was added, removed and changed", () => {
    const before = [entry("A", "1"), entry("B", "1"), entry("C", "1")];
    const difference = diffEntries(before, [entry("B", "2"), entry("C", "1", true), entry("D", "1")]);
    expect([names(difference.added), names(difference.removed)]).toEqual([["D"], ["A"]]);
    expect(difference.changed.map(({ before: then, after }) => [after.name, then.value, after.value])).toEqual([["B", "1", "2"]]);
    expect(isSame(difference)).toBe(false);
    expect(isSame(diffEntries(before, [...before].reverse()))).toBe(true);
  });
});
