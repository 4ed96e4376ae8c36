import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ClientFrame, clientFrameReader, serverFrame } from "./fixtures/websocket.ts";
import { createWebSocketDecoder, encodeFrame, OPCODE, webSocketHandshake } from "./websocket.ts";

const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));

describe("a frame that we send", () => {
  test("reads as its parts, joined", () => {
    fc.assert(
      fc.property(fc.array(bytes(400), { maxLength: 6 }), (parts) => {
        const frames: ClientFrame[] = [];
        clientFrameReader((one) => frames.push(one))(encodeFrame(OPCODE.BINARY, parts));
        expect(frames).toEqual([{ opcode: 2, payload: Buffer.concat(parts) }]);
      }),
    );
  });

  test.each([125, 126, 127, 65_535, 65_536, 70_001])("of %d bytes has the right form of length", (size) => {
    const payload = Buffer.alloc(size, "abc");
    const frames: ClientFrame[] = [];
    clientFrameReader((one) => frames.push(one))(encodeFrame(OPCODE.BINARY, [payload]));
    expect(frames[0]?.payload.equals(payload)).toBe(true);
  });

  test("is masked with another key each time", () => {
    const payload = Buffer.alloc(64);
    const seen = new Set(Array.from({ length: 1_000 }, () => encodeFrame(OPCODE.BINARY, [payload]).toString("hex")));
    expect(seen.size).toBe(1_000);
  });
});

describe("the decoder", () => {
  const message = fc.record({
    payload: bytes(300),
    pieces: fc.integer({ min: 1, max: 4 }),
    ping: fc.option(bytes(20), { nil: undefined }),
  });

  test("gives each message's bytes in any cut, with control frames between its pieces", () => {
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (messages, cuts) => {
          const wire: Buffer[] = [];
          for (const { payload, pieces, ping } of messages) {
            const size = Math.max(1, Math.ceil(payload.length / pieces));
            for (let at = 0; at === 0 || at < payload.length; at += size) {
              const last = at + size >= payload.length;
              wire.push(serverFrame((last ? 0x80 : 0) | (at === 0 ? 2 : 0), payload.subarray(at, at + size)));
              if (ping && !last) wire.push(serverFrame(0x89, ping));
            }
          }
          const got: Buffer[] = [];
          const decoder = createWebSocketDecoder({
            payload: (chunk, first) => {
              if (first) got.push(Buffer.from(chunk));
              else got.push(Buffer.concat([got.pop() as Buffer, chunk]));
            },
            ping: () => {},
            close: () => {},
          });
          const all = Buffer.concat(wire);
          for (let at = 0, turn = 0; at < all.length; turn++) {
            const size = cuts[turn % cuts.length] as number;
            decoder.push(all.subarray(at, at + size));
            at += size;
          }
          expect(Buffer.concat(got)).toEqual(Buffer.concat(messages.map(({ payload }) => payload)));
          expect(got.length).toBe(messages.filter(({ payload }) => payload.length > 0).length);
        },
      ),
    );
  });

  test("survives any bytes: it tells something, or throws PORTFORWARD_PROTOCOL", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), (noise) => {
        const decoder = createWebSocketDecoder({ payload: () => {}, ping: () => {}, close: () => {} });
        try {
          decoder.push(Buffer.from(noise));
        } catch (error) {
          expect(error).toMatchObject({ code: "PORTFORWARD_PROTOCOL" });
        }
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ["a masked frame", Buffer.from([0x82, 0x81, 1, 2, 3, 4, 5])],
    ["a reserved bit", serverFrame(0xc2, Buffer.from("x"))],
    ["an unknown type", serverFrame(0x83, Buffer.from("x"))],
    ["a ping in pieces", serverFrame(0x09, Buffer.from("x"))],
    ["a ping too long", serverFrame(0x89, Buffer.alloc(126))],
    ["a continuation of nothing", serverFrame(0x80, Buffer.from("x"))],
    ["a length of 2^63", Buffer.concat([Buffer.from([0x82, 127]), Buffer.alloc(8, 0x7f)])],
  ])("refuses %s", (_name, wire) => {
    const decoder = createWebSocketDecoder({ payload: () => {}, ping: () => {}, close: () => {} });
    expect(() => decoder.push(wire)).toThrowError(expect.objectContaining({ code: "PORTFORWARD_PROTOCOL" }));
  });
});

test("the handshake accepts only the answer to itself", () => {
  // The example of RFC 6455, 1.3, has this key and this answer; ours has a key of its own.
  const handshake = webSocketHandshake("v4.channel.k8s.io");
  const answer = { "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "sec-websocket-protocol": "v4.channel.k8s.io" };
  expect(() => handshake.check(answer)).toThrowError(expect.objectContaining({ code: "PORTFORWARD_PROTOCOL" }));
});
