import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { forwardedHeaders } from "./forwarded.ts";
import { bodyScanner } from "./http1-body.ts";
import { beginsLikeRequest, editHead, findHeadEnd, parseRequestHead, parseResponseHead, responseFraming } from "./http1-head.ts";

const bytes = (text: string): Buffer => Buffer.from(text, "latin1");
const request = (...lines: string[]) => parseRequestHead(bytes(`${lines.join("\r\n")}\r\n\r\n`));

describe("heads", () => {
  test("what is plain is read", () => {
    const head = request("POST /a?b HTTP/1.1", "Host: s", "Content-Length: 12", "X-A:  b c \t", "Connection: Keep-Alive, X-A")!;
    expect(head).toMatchObject({
      method: "POST",
      target: "/a?b",
      minor: 1,
      framing: { by: "length", length: 12 },
      persistent: true,
      connection: new Set(["keep-alive", "x-a"]),
    });
    expect(head.fields.list()).toMatchObject([
      { name: "host" },
      { name: "content-length" },
      { name: "x-a", value: "b c", line: "X-A:  b c \t" },
      { name: "connection" },
    ]);
    expect(head.fields.values("x-a")).toEqual(["b c"]);
    expect(request("GET / HTTP/1.0")).toMatchObject({ minor: 0, framing: { by: "none" }, persistent: false });
    expect(request("PUT / HTTP/1.1", "Host:", "transfer-encoding: Chunked")).toMatchObject({ framing: { by: "chunks" } });
    expect(request("GET / HTTP/1.1", "Host: s", "Connection: close")).toMatchObject({ persistent: false });
  });

  // Each of them is cut differently by some server or other.
  test.each([
    ["two lengths", ["POST / HTTP/1.1", "Host: s", "Content-Length: 5", "Content-Length: 6"]],
    ["twice the same length", ["POST / HTTP/1.1", "Host: s", "Content-Length: 5", "Content-Length: 5"]],
    ["a list of lengths", ["POST / HTTP/1.1", "Host: s", "Content-Length: 5, 5"]],
    ["a length with a sign", ["POST / HTTP/1.1", "Host: s", "Content-Length: +5"]],
    ["a negative length", ["POST / HTTP/1.1", "Host: s", "Content-Length: -5"]],
    ["a hexadecimal length", ["POST / HTTP/1.1", "Host: s", "Content-Length: 0x5"]],
    ["an empty length", ["POST / HTTP/1.1", "Host: s", "Content-Length: "]],
    ["a length beyond counting", ["POST / HTTP/1.1", "Host: s", "Content-Length: 99999999999999999999"]],
    ["length and chunks", ["POST / HTTP/1.1", "Host: s", "Content-Length: 5", "Transfer-Encoding: chunked"]],
    ["chunks and length", ["POST / HTTP/1.1", "Host: s", "Transfer-Encoding: chunked", "Content-Length: 5"]],
    ["another coding", ["POST / HTTP/1.1", "Host: s", "Transfer-Encoding: xchunked"]],
    ["two codings", ["POST / HTTP/1.1", "Host: s", "Transfer-Encoding: gzip, chunked"]],
    ["chunks twice", ["POST / HTTP/1.1", "Host: s", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"]],
    ["identity", ["POST / HTTP/1.1", "Host: s", "Transfer-Encoding: identity"]],
    ["a no-break space behind a coding", ["POST / HTTP/1.1", "Host: s", "Transfer-Encoding: chunked\xa0"]],
    ["a no-break space behind a length", ["POST / HTTP/1.1", "Host: s", "Content-Length: 5\xa0"]],
    ["a vertical tab in a coding", ["POST / HTTP/1.1", "Host: s", "Transfer-Encoding: \x0bchunked"]],
    ["chunks in HTTP/1.0", ["POST / HTTP/1.0", "Host: s", "Transfer-Encoding: chunked"]],
    ["a space before the colon", ["POST / HTTP/1.1", "Host: s", "Content-Length : 5"]],
    ["a folded line", ["POST / HTTP/1.1", "Host: s", "X-A: b", " Transfer-Encoding: chunked"]],
    ["a line without a colon", ["GET / HTTP/1.1", "Host: s", "nothing"]],
    ["an empty name", ["GET / HTTP/1.1", "Host: s", ": x"]],
    ["a NUL in a value", ["GET / HTTP/1.1", "Host: s", "X: a\0b"]],
    ["a CR in a value", ["GET / HTTP/1.1", "Host: s", "X: a\rContent-Length: 5"]],
    ["no host", ["GET / HTTP/1.1"]],
    ["two hosts", ["GET / HTTP/1.1", "Host: a", "Host: b"]],
    ["no version", ["GET /"]],
    ["HTTP/1.2", ["GET / HTTP/1.2", "Host: s"]],
    ["HTTP/2.0", ["GET / HTTP/2.0", "Host: s"]],
    ["two spaces", ["GET  / HTTP/1.1", "Host: s"]],
    ["a tab for a space", ["GET\t/ HTTP/1.1", "Host: s"]],
    ["a space in the target", ["GET /a b HTTP/1.1", "Host: s"]],
  ])("%s is not looked into", (_what, lines) => {
    expect(request(...lines)).toBeUndefined();
  });

  test("the end of a head, wherever the bytes are cut", () => {
    const head = bytes("GET / HTTP/1.1\r\nHost: s\r\n\r\nrest");
    for (let cut = 0; cut <= head.length; cut++) {
      const first = findHeadEnd(head.subarray(0, cut));
      expect(first).toBe(cut >= head.length - 4 ? head.length - 4 : 0);
      if (first === 0) expect(findHeadEnd(head, cut)).toBe(head.length - 4);
      expect(beginsLikeRequest(head.subarray(0, cut))).toBe(true);
    }
    for (const bad of ["GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nHost: s\n\r\n", "\n", "GET / HTTP/1.1\r\nA: b\r\n\n"]) {
      expect(findHeadEnd(bytes(bad))).toBe(-1);
    }
    for (const bad of [" GET", "\0", "\x80GET /", "G\0T", "a".repeat(64), "{}"]) expect(beginsLikeRequest(bytes(bad))).toBe(false);
  });

  test("answers", () => {
    const answer = (text: string, method = "GET") => responseFraming(parseResponseHead(bytes(`${text}\r\n\r\n`))!, method);
    expect(answer("HTTP/1.1 200 OK\r\nContent-Length: 5")).toEqual({ by: "length", length: 5 });
    expect(answer("HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD")).toEqual({ by: "none" });
    expect(answer("HTTP/1.1 204 No Content\r\nContent-Length: 5")).toEqual({ by: "none" });
    expect(answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 5")).toEqual({ by: "none" });
    expect(answer("HTTP/1.1 200")).toEqual({ by: "close" });
    expect(answer("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nContent-Length: 5")).toEqual({ by: "chunks" });
    expect(answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip")).toEqual({ by: "close" });
    expect(answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6")).toEqual({ by: "close" });
    expect(parseResponseHead(bytes("ICY 200 OK\r\n\r\n"))).toBeUndefined();
    expect(parseResponseHead(bytes("HTTP/1.1 20 OK\r\n\r\n"))).toBeUndefined();
  });

  test("a head that is edited keeps its other lines as they were", () => {
    const head = request("GET / HTTP/1.1", "hOsT:s", "X-Odd:   v ", "Keep: 1", "x-odd: w")!;
    expect(editHead(head, new Set(), [])).toBe(head.bytes);
    expect(editHead(head, new Set(), [["A", "b"]]).toString("latin1")).toBe(
      "GET / HTTP/1.1\r\nhOsT:s\r\nX-Odd:   v \r\nKeep: 1\r\nx-odd: w\r\nA: b\r\n\r\n",
    );
    expect(editHead(head, new Set(["x-odd"]), [["A", "b"]]).toString("latin1")).toBe(
      "GET / HTTP/1.1\r\nhOsT:s\r\nKeep: 1\r\nA: b\r\n\r\n",
    );
  });

  test("plain is what the grammar says (RFC 9112, 3 and 5), and nothing else", () => {
    const line = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,63}) ([\x21-\x7e\x80-\xff]+) HTTP\/1\.([01])$/;
    const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*$/;
    const byGrammar = (text: string) => {
      const [first = "", ...fields] = text.split("\r\n");
      const [, method, target] = line.exec(first) ?? [];
      const read = fields.map((one) => field.exec(one));
      if (method === undefined || read.some((one) => !one)) return undefined;
      return { method, target, list: read.map((one) => ({ name: one![1]!.toLowerCase(), value: one![2]!, line: one![0] })) };
    };
    const odd = fc.oneof(
      fc.constantFrom("", " ", "\t", "x", "X-a", "é", "\xa0", ":", "\r", "\n", "\0", "\x7f", "~", "^", "["),
      fc.uint8Array({ maxLength: 3 }).map((some) => Buffer.from(some).toString("latin1")),
    );
    const parts = (...of: Array<fc.Arbitrary<string>>) => fc.tuple(...of).map((all) => all.join(""));
    const first = parts(
      fc.constantFrom("GET", "P~T", ""),
      odd,
      fc.constant(" /"),
      odd,
      fc.constantFrom(" HTTP/1.1", " HTTP/1.0"),
      odd,
    );
    const plainFirst = fc.constant("GET / HTTP/1.1");
    const other = parts(
      fc.constantFrom("A", "b-C", ""),
      odd,
      fc.constantFrom(": ", ":"),
      odd,
      fc.constantFrom("", "v", "v w"),
      odd,
    );
    fc.assert(
      fc.property(fc.oneof(first, plainFirst), fc.array(other, { maxLength: 4 }), odd, (firstLine, fields, after) => {
        const text = [firstLine, "Host: s", ...fields].join("\r\n");
        // An empty line made by chance ends the head there.
        fc.pre(!`${text}\r\n`.includes("\r\n\r\n"));
        const head = parseRequestHead(bytes(`${text}\r\n\r\n${after}`));
        expect(head && { method: head.method, target: head.target, list: head.fields.list() }).toEqual(byGrammar(text));
        if (head) expect(head.bytes.toString("latin1")).toBe(`${text}\r\n\r\n`);
        expect(parseRequestHead(bytes(`${text}\r\n\r`))).toBeUndefined();
      }),
      { numRuns: 2_000 },
    );
  });

  test("no bytes make it throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        const head = Buffer.concat([Buffer.from("GET / HTTP/1.1\r\n"), random, Buffer.from("\r\n\r\n")]);
        findHeadEnd(Buffer.from(random));
        parseRequestHead(head);
        parseResponseHead(head);
      }),
    );
  });
});

describe("bodies", () => {
  const scanIn = (
    framing: Parameters<typeof bodyScanner>[0],
    all: Buffer,
    cuts: readonly number[],
  ): { length: number; done: boolean; bad: boolean } => {
    const scanner = bodyScanner(framing);
    let length = 0;
    let at = 0;
    for (let i = 0; at < all.length && !scanner.done; i++) {
      const piece = all.subarray(at, at + (cuts[i % cuts.length] ?? all.length));
      const taken = scanner.scan(piece);
      if (taken < 0) return { length, done: false, bad: true };
      length += taken;
      at += piece.length;
      if (taken < piece.length) break;
    }
    return { length, done: scanner.done, bad: false };
  };

  const chunked = fc
    .tuple(
      fc.array(
        fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.constantFrom("", ";a=b", ' ;q="x"', "\t"), fc.boolean()),
      ),
      fc.constantFrom("", "X-T: 1\r\n", "A: b\r\nC: d\r\n"),
      fc.constantFrom("0", "000", "0;last"),
    )
    .map(([chunks, trailers, end]) =>
      Buffer.concat([
        ...chunks.flatMap(([data, extension, upper]) => {
          const size = data.length.toString(16);
          return [bytes(`${upper ? size.toUpperCase() : `0${size}`}${extension}\r\n`), Buffer.from(data), bytes("\r\n")];
        }),
        bytes(`${end}\r\n${trailers}\r\n`),
      ]),
    );

  test("the end of chunks, however they are cut", () => {
    fc.assert(
      fc.property(
        chunked,
        fc.uint8Array({ maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }),
        (body, after, cuts) => {
          expect(scanIn({ by: "chunks" }, Buffer.concat([body, after]), cuts)).toEqual({
            length: body.length,
            done: true,
            bad: false,
          });
          const half = scanIn({ by: "chunks" }, body.subarray(0, body.length - 1), cuts);
          expect(half).toEqual({ length: body.length - 1, done: false, bad: false });
        },
      ),
    );
  });

  test("the end of a length, however it is cut", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 200 }),
        fc.integer({ min: 1, max: 50 }),
        (length, given, cut) => {
          const result = scanIn({ by: "length", length }, Buffer.alloc(given), [cut]);
          expect(result).toEqual({ length: Math.min(length, given), done: given >= length, bad: false });
        },
      ),
    );
  });

  test.each([
    "\r\n",
    "g\r\n",
    "-1\r\n",
    "+5\r\nhello\r\n",
    "0x5\r\nhello\r\n",
    " 5\r\nhello\r\n",
    "5\nhello\r\n",
    "5\r\nhello\n",
    "5\r\nhelloX\r\n",
    "5\r\nhell\r\n0",
    "5\rhello",
    "5;a\nb\r\nhello\r\n",
    `5;${"x".repeat(5000)}\r\n`,
    "fffffffffffff\r\n",
    "0\r\nX: y\n\r\n",
    "0\r\nX\rY\r\n",
    `0\r\nX: ${"y".repeat(70_000)}\r\n`,
  ])("%# is not in order", (text) => {
    expect(scanIn({ by: "chunks" }, bytes(text), [7])).toMatchObject({ bad: true });
    expect(scanIn({ by: "chunks" }, bytes(text), [1_000_000])).toMatchObject({ bad: true });
  });
});

test("who called is told by the usual headers", () => {
  const told = (given: Record<string, string>, caller: { address: string; host?: string }) =>
    Object.fromEntries(forwardedHeaders((name) => given[name], caller));
  expect(told({}, { address: "::ffff:10.0.0.7", host: "api:80" })).toEqual({
    "X-Forwarded-For": "10.0.0.7",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "api:80",
  });
  expect(
    told(
      { "x-forwarded-for": "1.1.1.1", "x-forwarded-proto": "https", "x-forwarded-host": "out", forwarded: "for=1.1.1.1" },
      { address: "fd00::1", host: 'a"b' },
    ),
  ).toEqual({ "X-Forwarded-For": "1.1.1.1, fd00::1", Forwarded: 'for=1.1.1.1, for="[fd00::1]";host="a\\"b";proto=http' });
});
