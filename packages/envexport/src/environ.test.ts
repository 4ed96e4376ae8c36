import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseEnviron } from "./environ.ts";

const text = fc.string({ unit: fc.constantFrom(..."aB=\n '\"é😀") });
const name = fc.stringMatching(/^[A-Z_.-][A-Z0-9_.-]{0,5}$/);

describe("parseEnviron", () => {
  it("gives back any environment, with or without the last NUL", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(name, text), { selector: ([key]) => key }), fc.boolean(), (pairs, ended) => {
        const written = pairs.map(([key, value]) => `${key}=${value}`).join("\0") + (ended && pairs.length > 0 ? "\0" : "");
        expect([...(parseEnviron(Buffer.from(written))?.values ?? [])]).toEqual(pairs);
      }),
    );
  });

  it("takes the first of two, and tells what is not text", () => {
    const bytes = Buffer.concat([Buffer.from("A=1\0A=2\0B="), Buffer.from([0xff]), Buffer.from("\0C=\0")]);
    const found = parseEnviron(bytes);
    expect([...(found?.values ?? [])]).toEqual([
      ["A", "1"],
      ["C", ""],
    ]);
    expect(found?.notText).toEqual(["B"]);
  });

  it("refuses what is no environment, as where a process wrote its title over it", () => {
    for (const bad of ["nginx: master process\0\0\0\0", "A=1\0\0\0", "title", "=x\0", "A=1\0word\0"]) {
      expect(parseEnviron(Buffer.from(bad)), bad).toBeUndefined();
    }
  });
});
