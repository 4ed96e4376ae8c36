import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createJsonLines } from "./json-lines.ts";

describe("JSON lines", () => {
  test("any values come out whole, wherever the bytes are cut", () => {
    fc.assert(
      fc.property(
        fc.array(fc.jsonValue()),
        fc.infiniteStream(fc.integer({ min: 1, max: 7 })),
        fc.boolean(),
        (values, cuts, crlf) => {
          const bytes = Buffer.from(values.map((value) => `${JSON.stringify(value)}${crlf ? "\r\n" : "\n"}`).join(""));
          const lines = createJsonLines<unknown>();
          const out: unknown[] = [];
          for (let at = 0; at < bytes.length; ) {
            const size = cuts.next().value;
            out.push(...lines.push(bytes.subarray(at, at + size)));
            at += size;
          }
          expect(out).toEqual(values.map((value) => JSON.parse(JSON.stringify(value))));
        },
      ),
    );
  });

  test("empty lines carry nothing; the rest without a newline waits", () => {
    const lines = createJsonLines();
    expect(lines.push(Buffer.from('\n\r\n{"a":1}\n{"b"'))).toEqual([{ a: 1 }]);
    expect(lines.push(Buffer.from(":2}\n"))).toEqual([{ b: 2 }]);
  });

  test("what is not JSON and what never ends are errors", () => {
    expect(() => createJsonLines().push(Buffer.from("<html>\n"))).toThrow(expect.objectContaining({ code: "KUBE_PROTOCOL" }));
    const lines = createJsonLines(10);
    lines.push(Buffer.from("123456"));
    expect(() => lines.push(Buffer.from("7890123"))).toThrow(expect.objectContaining({ code: "KUBE_PROTOCOL" }));
  });
});
