import fc from "fast-check";
import { expect, test } from "vitest";
import { createFrameDecoder, encodeCredit, encodeHeader, encodeText, FRAME, MAX_DATA_BYTES } from "./frames.ts";

interface Seen {
  type: number;
  stream: number;
  payload: Buffer;
}

/** What a decoder makes of bytes that come in pieces of the given sizes; the pieces of one DATA frame are joined. */
function decode(bytes: Buffer, sizes: readonly number[]): Seen[] {
  const seen: Seen[] = [];
  const decoder = createFrameDecoder({
    data(stream, part) {
      const last = seen.at(-1);
      if (last?.type === FRAME.DATA && last.stream === stream) last.payload = Buffer.concat([last.payload, part]);
      else seen.push({ type: FRAME.DATA, stream, payload: Buffer.from(part) });
    },
    frame: (type, stream, payload) => seen.push({ type, stream, payload: Buffer.from(payload) }),
  });
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    decoder.push(bytes.subarray(at, at + size));
    at += size;
  }
  return seen;
}

const stream = fc.integer({ min: 0, max: 0xffff_ffff });
const data = fc.uint8Array({ minLength: 1, maxLength: 400 }).map((bytes) => Buffer.from(bytes));
const sizes = fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 20 });

test("frames come out as they went in, however they are cut", () => {
  const frame = fc.oneof(
    fc.record({ kind: fc.constant("data"), stream, payload: data }),
    fc.record({ kind: fc.constant("text"), stream, value: fc.record({ a: fc.string(), b: fc.integer() }) }),
    fc.record({ kind: fc.constant("credit"), stream, bytes: stream }),
    fc.record({ kind: fc.constant("bare"), stream, type: fc.constantFrom(FRAME.FIN, FRAME.RESET, FRAME.PING, FRAME.PONG) }),
  );
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 30 }), sizes, (frames, cuts) => {
      const expected: Seen[] = [];
      const sent = frames.flatMap((each): Buffer[] => {
        if ("payload" in each) {
          // Two DATA frames of one stream in a row are not told apart: they are bytes of one stream.
          const last = expected.at(-1);
          if (last?.type === FRAME.DATA && last.stream === each.stream) last.payload = Buffer.concat([last.payload, each.payload]);
          else expected.push({ type: FRAME.DATA, stream: each.stream, payload: each.payload });
          return [encodeHeader(FRAME.DATA, each.stream, each.payload.length), each.payload];
        }
        const [type, bytes] =
          "value" in each
            ? [FRAME.OPEN, encodeText(FRAME.OPEN, each.stream, each.value)]
            : "bytes" in each
              ? [FRAME.CREDIT, encodeCredit(each.stream, each.bytes)]
              : [each.type, encodeHeader(each.type, each.stream, 0)];
        expected.push({ type, stream: each.stream, payload: bytes.subarray(8) });
        return [bytes];
      });
      expect(decode(Buffer.concat(sent), cuts)).toEqual(expected);
    }),
  );
});

test("whatever bytes come, they are frames or RELAY_PROTOCOL", () => {
  const near = fc
    .record({ type: fc.integer({ min: 0, max: 12 }), length: fc.integer({ min: 0, max: 70_000 }), stream, rest: data })
    .map(({ type, length, stream: id, rest }) => Buffer.concat([encodeHeader(type as 1, id, length), rest]));
  const bytes = fc.oneof(data, fc.array(near, { maxLength: 5 }).map(Buffer.concat));
  fc.assert(
    fc.property(bytes, sizes, (sent, cuts) => {
      try {
        decode(sent, cuts);
      } catch (error) {
        expect(error).toMatchObject({ code: "RELAY_PROTOCOL" });
      }
    }),
  );
});

test("a length that no frame of its type has is refused before any of it is read", () => {
  for (const [type, length] of [
    [FRAME.DATA, MAX_DATA_BYTES + 1],
    [FRAME.DATA, 0],
    [FRAME.OPEN, 16_385],
    [FRAME.FIN, 1],
    [FRAME.CREDIT, 5],
    [FRAME.PING, 0xff_ffff],
    [0, 0],
    [10, 0],
  ] as const) {
    const decoder = createFrameDecoder({ data: () => {}, frame: () => {} });
    expect(() => decoder.push(encodeHeader(type as 1, 1, length)), `${type} ${length}`).toThrow(
      expect.objectContaining({ code: "RELAY_PROTOCOL" }),
    );
  }
});
