import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createHeaderCodec, SPDY_DICTIONARY } from "./spdy-headers.ts";

const name = fc.string({ minLength: 1, maxLength: 20 }).map((text) => text.toLowerCase());
const headers = fc.dictionary(name, fc.string({ maxLength: 60 }), { maxKeys: 8, noNullPrototype: true });
const blocks = fc.array(headers, { minLength: 1, maxLength: 12 });

/** One write and a sync flush on a zlib stream that goes on. */
function flushed(stream: Deflate | Inflate, block: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const take = (part: Buffer): void => void parts.push(part);
    stream.once("error", reject);
    stream.on("data", take);
    stream.write(block, () =>
      stream.flush(constants.Z_SYNC_FLUSH, () => {
        stream.off("data", take);
        stream.off("error", reject);
        resolve(Buffer.concat(parts));
      }),
    );
  });
}

test("the dictionary is the one of SPDY/3", () => {
  let [a, b] = [1, 0];
  for (const byte of SPDY_DICTIONARY) {
    a = (a + byte) % 65_521;
    b = (b + a) % 65_521;
  }
  expect([SPDY_DICTIONARY.length, b, a]).toEqual([1423, 0xe3c6, 0xa7c2]);
});

test("what is encoded block by block is decoded block by block", () => {
  fc.assert(
    fc.property(blocks, (list) => {
      const [client, server] = [createHeaderCodec(), createHeaderCodec()];
      for (const block of list) {
        expect(Object.fromEntries(server.decode(client.encode(Object.entries(block))))).toEqual(block);
      }
    }),
  );
});

test("zlib's own continuing streams agree with it, both ways, past the window", async () => {
  const [codec, deflate, inflate] = [
    createHeaderCodec(),
    createDeflate({ dictionary: SPDY_DICTIONARY }),
    createInflate({ dictionary: SPDY_DICTIONARY }),
  ];
  // 60 × 2 KB: the 32 KB window has slid.
  for (let i = 0; i < 60; i++) {
    const value = Array.from({ length: 400 }, (_, at) => `${(i * 31 + at * 7) % 97}`).join(",");
    const entries: Array<[string, string]> = [
      ["streamtype", "data"],
      ["requestid", String(i)],
      ["x", value],
    ];
    const plain = await flushed(inflate, codec.encode(entries));
    expect(plain.readUInt32BE(0)).toBe(3);
    expect(plain.includes(value)).toBe(true);
    expect([...codec.decode(await flushed(deflate, plain))]).toEqual(entries);
  }
});

test("stored blocks are read too, and what is no block throws", () => {
  const plain = Buffer.from([0, 0, 0, 1, 0, 0, 0, 1, 0x61, 0, 0, 0, 1, 0x62]);
  const stored = Buffer.concat([
    Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2, 0, plain.length, 0, plain.length ^ 0xff, 0xff]),
    plain,
  ]);
  const flush = Buffer.from([0, 0, 0, 0xff, 0xff]);
  expect([...createHeaderCodec().decode(Buffer.concat([stored, flush]))]).toEqual([["a", "b"]]);
  expect(() => createHeaderCodec().decode(Buffer.from("nonsense"))).toThrow();
});
