import fc from "fast-check";
import { expect, it } from "vitest";
import { createHttp1Parser, type Http1Head } from "./http1-parser.ts";

interface Read {
  heads: Http1Head[];
  bodies: string[];
  lost: string[];
}

function read(kind: "request" | "response", chunks: readonly Uint8Array[]): Read {
  const found: Read = { heads: [], bodies: [], lost: [] };
  let body = "";
  const parser = createHttp1Parser(kind, {
    head(head) {
      found.heads.push(head);
      const of = (name: string) => head.headers.find(([each]) => each.toLowerCase() === name)?.[1];
      return of("transfer-encoding") ? "chunked" : { bytes: Number(of("content-length") ?? 0) };
    },
    body: (bytes) => (body += Buffer.from(bytes).toString("latin1")),
    done() {
      found.bodies.push(body);
      body = "";
    },
    tunnel() {},
    lost: (why) => found.lost.push(why),
  });
  for (const chunk of chunks) parser.push(chunk);
  parser.end();
  return found;
}

const bodies = fc.array(fc.record({ body: fc.string({ unit: "binary-ascii", maxLength: 60 }), chunked: fc.boolean() }), {
  minLength: 1,
  maxLength: 5,
});

it("reads the same messages however the bytes are cut", () => {
  fc.assert(
    fc.property(bodies, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (messages, cuts) => {
      const wire = messages
        .map(({ body, chunked }) => {
          const head = `POST /a HTTP/1.1\r\nHost: x\r\n${chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${body.length}`}\r\n\r\n`;
          const chunk = body === "" ? "" : `${body.length.toString(16)};x=y\r\n${body}\r\n`;
          return chunked ? `${head}${chunk}0\r\nTrailer: t\r\n\r\n` : head + body;
        })
        .join("");
      const bytes = Buffer.from(wire, "latin1");
      const chunks: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) chunks.push(bytes.subarray(at, (at += cuts[i % cuts.length]!)));
      const found = read("request", chunks);
      expect(found.lost).toEqual([]);
      expect(found.bodies).toEqual(messages.map(({ body }) => body));
      expect(found.heads.map(({ method, path }) => `${method} ${path}`)).toEqual(messages.map(() => "POST /a"));
    }),
  );
});

it("never throws, and gives up at most once, on any bytes", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("request" as const, "response" as const),
      fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 6 }),
      (kind, chunks) => {
        expect(read(kind, chunks).lost.length).toBeLessThanOrEqual(1);
      },
    ),
  );
});

it.each([
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01"],
  ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ["a Redis command", "*1\r\n$4\r\nPING\r\n"],
])("gives up %s at its first bytes", (_name, wire) => {
  expect(read("request", [Buffer.from(wire, "latin1")]).lost).toHaveLength(1);
});
