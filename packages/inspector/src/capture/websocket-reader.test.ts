import { constants, createDeflateRaw } from "node:zlib";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createWebSocketReader } from "./websocket-reader.ts";

function frame(
  opcode: number,
  payload: Buffer,
  { fin = true, mask, packed = false }: { fin?: boolean; mask?: number; packed?: boolean } = {},
): Buffer {
  const head = [(fin ? 0x80 : 0) | (packed ? 0x40 : 0) | opcode];
  const flag = mask === undefined ? 0 : 0x80;
  if (payload.length < 126) head.push(flag | payload.length);
  else head.push(flag | 126, payload.length >> 8, payload.length & 0xff);
  if (mask === undefined) return Buffer.concat([Buffer.from(head), payload]);
  const key = Buffer.alloc(4);
  key.writeUInt32BE(mask);
  return Buffer.concat([Buffer.from(head), key, payload.map((byte, at) => byte ^ key[at & 3]!)]);
}

function readAll(wire: Buffer, size: number, deflate = false): { kind: string; text: string }[] {
  const found: { kind: string; text: string }[] = [];
  const reader = createWebSocketReader(deflate, ({ kind, text }) => found.push({ kind, text }));
  for (let at = 0; at < wire.length; at += size) reader.push(wire.subarray(at, at + size));
  return found;
}

it("reads messages however they are framed, masked and cut", () => {
  const message = fc.record({
    text: fc.string({ maxLength: 300 }),
    mask: fc.option(fc.nat(0xffffffff), { nil: undefined }),
    split: fc.nat(300),
    ping: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.integer({ min: 1, max: 50 }), (messages, size) => {
      const wire = messages.flatMap(({ text, mask, split, ping }) => {
        const bytes = Buffer.from(text);
        const more = mask === undefined ? {} : { mask };
        return [
          frame(1, bytes.subarray(0, split), { fin: false, ...more }),
          ...(ping ? [frame(9, Buffer.from("p"), more)] : []),
          frame(0, bytes.subarray(split), more),
        ];
      });
      const texts = readAll(Buffer.concat(wire), size).filter(({ kind }) => kind === "text");
      expect(texts.map(({ text }) => text)).toEqual(messages.map(({ text }) => text));
    }),
  );
});

it("inflates messages that lean on those before them (RFC 7692 with its context)", async () => {
  const deflater = createDeflateRaw();
  const pack = (text: string): Promise<Buffer> =>
    new Promise((resolve) => {
      const parts: Buffer[] = [];
      const onData = (part: Buffer) => parts.push(part);
      deflater.on("data", onData);
      deflater.write(text);
      deflater.flush(constants.Z_SYNC_FLUSH, () => {
        deflater.off("data", onData);
        resolve(Buffer.concat(parts).subarray(0, -4));
      });
    });
  const texts = [
    "a long enough message to be referred to",
    "a long enough message to be referred to",
    "another, with a long enough message",
  ];
  const wire: Buffer[] = [];
  for (const text of texts) wire.push(frame(1, await pack(text), { packed: true }));
  expect(readAll(Buffer.concat(wire), 7, true).map(({ text }) => text)).toEqual(texts);
});

it("shows a close with its code and reason", () => {
  expect(readAll(frame(8, Buffer.concat([Buffer.from([0x03, 0xe9]), Buffer.from("bye")])), 100)).toEqual([
    { kind: "close", text: "1001 bye" },
  ]);
});
