import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Frame, frame, frameReader, headerInflater } from "./fixtures/kubelet.ts";
import {
  createFrameDecoder,
  createSynStreamEncoder,
  encodeDataHeader,
  encodeGoAway,
  encodePing,
  encodeReset,
  type FrameHandler,
} from "./spdy-codec.ts";

type Told = [what: string, ...values: Array<number | string>];

/** What a decoder tells, with the data of a stream joined so that the cut makes no difference. */
function listener(): { told: Told[]; handler: FrameHandler } {
  const told: Told[] = [];
  return {
    told,
    handler: {
      data(id, chunk) {
        const last = told.at(-1);
        if (last?.[0] === "data" && last[1] === id) last[2] += chunk.toString("latin1");
        else told.push(["data", id, chunk.toString("latin1")]);
      },
      end: (id) => told.push(["end", id]),
      reply: (id) => told.push(["reply", id]),
      reset: (id, status) => told.push(["reset", id, status]),
      ping: (id) => told.push(["ping", id]),
      goAway: (id, status) => told.push(["goAway", id, status]),
      synStream: (id) => told.push(["synStream", id]),
    },
  };
}

/** Feeds `bytes` cut after each of `cuts` (cyclically). */
function feed(push: (chunk: Buffer) => void, bytes: Buffer, cuts: readonly number[]): void {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = cuts[turn % cuts.length] ?? bytes.length;
    push(bytes.subarray(at, at + size));
    at += size;
  }
}

const streamId = fc.integer({ min: 1, max: 0x7fffffff });
const word = fc.integer({ min: 0, max: 0xffffffff });
const anyFrame: fc.Arbitrary<{ bytes: Buffer; told: Told[] }> = fc.oneof(
  fc.tuple(streamId, fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.boolean()).map(([id, payload, fin]) => ({
    bytes: frame.data(id, Buffer.from(payload), fin),
    told: [["data", id, Buffer.from(payload).toString("latin1")], ...(fin ? [["end", id] as Told] : [])] as Told[],
  })),
  streamId.map((id) => ({ bytes: frame.data(id, "", true), told: [["end", id]] as Told[] })),
  streamId.map((id) => ({ bytes: frame.reply(id), told: [["reply", id]] as Told[] })),
  fc.tuple(streamId, word).map(([id, status]) => ({ bytes: encodeReset(id, status), told: [["reset", id, status]] as Told[] })),
  word.map((id) => ({ bytes: encodePing(id), told: [["ping", id]] as Told[] })),
  fc.tuple(streamId, word).map(([id, status]) => ({ bytes: encodeGoAway(id, status), told: [["goAway", id, status]] as Told[] })),
  // SETTINGS, WINDOW_UPDATE and a type that nobody has defined.
  fc
    .tuple(fc.constantFrom(4, 9, 77), fc.uint8Array({ maxLength: 40 }))
    .map(([type, payload]) => ({ bytes: frame.control(type, 0, Buffer.from(payload)), told: [] as Told[] })),
);

/** Data of one stream in neighbouring frames reads as one piece. */
function joined(all: readonly Told[]): Told[] {
  const out: Told[] = [];
  for (const [what, id, text] of all) {
    const last = out.at(-1);
    if (what === "data" && last?.[0] === "data" && last[1] === id) last[2] = `${last[2]}${text}`;
    else out.push([what, id, text].filter((value) => value !== undefined) as Told);
  }
  return out;
}

describe("the decoder", () => {
  test("tells the same for any frames in any cut", () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }),
        (frames, cuts) => {
          const { told, handler } = listener();
          feed(createFrameDecoder(handler).push, Buffer.concat(frames.map((one) => one.bytes)), cuts);
          expect(told).toEqual(joined(frames.flatMap((one) => one.told)));
        },
      ),
    );
  });

  test("passes payload on as it arrives, without a copy", () => {
    const chunks: Buffer[] = [];
    const { handler } = listener();
    const decoder = createFrameDecoder({ ...handler, data: (_id, chunk) => chunks.push(chunk) });
    const bytes = frame.data(1, Buffer.alloc(1000));
    decoder.push(bytes.subarray(0, 500));
    expect(chunks.map((chunk) => chunk.length)).toEqual([492]);
    expect(chunks[0]?.buffer).toBe(bytes.buffer);
  });

  test("survives any bytes: it tells something, or throws PORTFORWARD_PROTOCOL", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1 }),
        (bytes, cuts) => {
          const { told, handler } = listener();
          try {
            feed(createFrameDecoder(handler).push, Buffer.from(bytes), cuts);
          } catch (error) {
            expect(error).toMatchObject({ code: "PORTFORWARD_PROTOCOL" });
          }
          const said = told.reduce((sum, [what, , text]) => sum + (what === "data" ? String(text).length : 0), 0);
          expect(said).toBeLessThanOrEqual(bytes.length);
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([
    ["another version", Buffer.from([0x80, 0x02, 0, 6, 0, 0, 0, 4, 0, 0, 0, 1])],
    ["a ping too short", frame.control(6, 0, Buffer.alloc(3))],
    ["a reset too short", frame.control(3, 0, Buffer.alloc(4))],
    ["a control frame too long", frame.control(2, 0, Buffer.alloc(70_000))],
  ])("refuses %s", (_name, bytes) => {
    const { handler } = listener();
    expect(() => createFrameDecoder(handler).push(bytes)).toThrowError(expect.objectContaining({ code: "PORTFORWARD_PROTOCOL" }));
  });
});

describe("the encoder", () => {
  test("makes header blocks that zlib inflates with the dictionary, one stream for the whole connection", async () => {
    const header = fc.tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/), fc.string({ maxLength: 60 }));
    const request = fc.record({
      id: streamId,
      fin: fc.boolean(),
      headers: fc.array(header, { maxLength: 8 }).map((all) => Object.fromEntries(all)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 12 }), async (requests) => {
        const encoder = createSynStreamEncoder();
        const frames: Frame[] = [];
        const read = frameReader((one) => frames.push(one));
        for (const { id, headers, fin } of requests) read(encoder.encode(id, headers, fin));
        const inflate = headerInflater();
        expect(frames).toHaveLength(requests.length);
        for (const [index, { id, headers, fin }] of requests.entries()) {
          const one = frames[index] as Frame;
          expect([one.type, one.flags, one.payload.readUInt32BE(0)]).toEqual([1, fin ? 1 : 0, id]);
          expect(await inflate(one.payload.subarray(10))).toEqual({ ...headers });
        }
      }),
      { numRuns: 50 },
    );
  });

  test("puts the FIN flag and the length where they belong", () => {
    fc.assert(
      fc.property(streamId, fc.integer({ min: 0, max: 0xffffff }), fc.boolean(), (id, length, fin) => {
        const header = encodeDataHeader(id, length, fin);
        expect([header.readUInt32BE(0), header[4], header.readUIntBE(5, 3)]).toEqual([id, fin ? 1 : 0, length]);
      }),
    );
  });

  test("refuses a header block that no stored block holds", () => {
    expect(() => createSynStreamEncoder().encode(1, { port: "x".repeat(70_000) }, false)).toThrow(RangeError);
  });
});
