import { connect, createServer, type Http2Server } from "node:http2";
import { type AddressInfo, connect as connectTcp, createServer as createTcp, type Server } from "node:net";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createHpackDecoder } from "./hpack.ts";
import { FLAG, FRAME, frameReader, PREFACE } from "./http2-frames.ts";
import { decodeHuffman } from "./huffman.ts";

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");

it("reads the requests and answers of RFC 7541, appendix C, with and without Huffman, one after the other", () => {
  const plain = createHpackDecoder();
  expect(plain.decode(hex("8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d"))).toEqual([
    [":method", "GET"],
    [":scheme", "http"],
    [":path", "/"],
    [":authority", "www.example.com"],
  ]);
  expect(plain.decode(hex("8286 84be 5808 6e6f 2d63 6163 6865"))?.slice(3)).toEqual([
    [":authority", "www.example.com"],
    ["cache-control", "no-cache"],
  ]);
  const packed = createHpackDecoder();
  packed.decode(hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"));
  expect(packed.decode(hex("8286 84be 5886 a8eb 1064 9cbf"))?.slice(3)).toEqual([
    [":authority", "www.example.com"],
    ["cache-control", "no-cache"],
  ]);
  expect(decodeHuffman(hex("9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3"))).toBe("https://www.example.com");
});

// Node's own encoder is the judge: its header blocks, as they pass, must read as what was asked.
let server: Http2Server;
let relay: Server;
let passed: (bytes: Buffer) => void = () => {};
beforeAll(async () => {
  server = createServer((_request, response) => void response.end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  relay = createTcp((client) => {
    const onward = connectTcp(port, "127.0.0.1");
    for (const socket of [client, onward]) socket.on("error", () => {});
    client.on("data", (bytes) => passed(bytes)).pipe(onward);
    onward.pipe(client);
  });
  await new Promise<void>((resolve) => relay.listen(0, "127.0.0.1", resolve));
});
afterAll(() => {
  relay.close();
  server.close();
});

const value = fc
  .string({ unit: fc.constantFrom(..." !\"#$%&'()*+,-./0123456789:;<=>?@ABCXYZ[\\]^_`abcxyz{|}~\u00e9\u00ff"), maxLength: 60 })
  .map((text) => text.trim());
const requests = fc.array(fc.dictionary(fc.stringMatching(/^x-[a-z]{1,3}$/), value, { maxKeys: 8 }), {
  minLength: 1,
  maxLength: 12,
});

it("reads whatever Node's encoder makes of headers, over many requests of one connection", { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(requests, async (asked) => {
      const decoder = createHpackDecoder();
      const seen: unknown[] = [];
      let preface = PREFACE.length;
      const read = frameReader(({ type, flags, payload }) => {
        if (type !== FRAME.headers || (flags & FLAG.endHeaders) === 0) return;
        seen.push(decoder.decode(payload)?.filter(([name]) => name.startsWith("x-")));
      });
      passed = (bytes) => {
        const skipped = Math.min(preface, bytes.length);
        preface -= skipped;
        read(bytes.subarray(skipped));
      };
      const session = connect(`http://127.0.0.1:${(relay.address() as AddressInfo).port}`);
      session.on("error", () => {});
      for (const headers of asked) {
        const request = session.request({ ":path": "/", ...headers });
        request.resume().end();
        await new Promise((resolve) => request.once("close", resolve));
      }
      await new Promise<void>((resolve) => session.close(resolve));
      expect(seen).toEqual(asked.map((headers) => Object.entries(headers)));
    }),
    { numRuns: 25 },
  );
});

it("never throws over bytes that are no headers, and gives up", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (blocks) => {
      const decoder = createHpackDecoder();
      for (const block of blocks) decoder.decode(block);
      decodeHuffman(blocks[0] ?? new Uint8Array());
    }),
    { numRuns: 2_000 },
  );
  expect(createHpackDecoder().decode(hex("bf"))).toBeUndefined();
  expect(createHpackDecoder().decode(hex("40 05 61"))).toBeUndefined();
  expect(createHpackDecoder().decode(hex("3f ff ff ff 7f"))).toBeUndefined();
});
