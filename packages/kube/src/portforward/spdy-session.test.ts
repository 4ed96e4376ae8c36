import { Duplex } from "node:stream";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { forwardTarget } from "./failure.ts";
import { frame } from "./fixtures/kubelet.ts";
import { createRawCarrier } from "./spdy-carriers.ts";
import { createSpdySession, type SpdySession } from "./spdy-session.ts";
import { DEFAULT_ENDINGS, type ForwardStream } from "./stream.ts";

const TARGET = forwardTarget({ namespace: "ns", name: "pod" }, 80);

/** A session whose far side is this test: `say` speaks, `heard` is what was said to it. */
function session(): {
  session: SpdySession;
  say(bytes: Buffer): Promise<void>;
  heard: Buffer[];
  socket: Duplex;
  closedWith: () => unknown;
} {
  const heard: Buffer[] = [];
  let closedWith: unknown = "open";
  const socket = new Duplex({
    read() {},
    write(chunk: Buffer, _encoding, done) {
      heard.push(chunk);
      done();
    },
  });
  const made = createSpdySession(createRawCarrier({ socket, head: Buffer.alloc(0) }), {
    endings: { ...DEFAULT_ENDINGS, reasonMs: 50 },
    maxBufferedPerStream: 1024 * 1024,
    moved: () => {},
    closed: (cause) => {
      closedWith = cause;
    },
    released: () => {},
  });
  return {
    session: made,
    socket,
    heard,
    closedWith: () => closedWith,
    async say(bytes) {
      socket.push(bytes);
      for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function watched(stream: ForwardStream): { errors: Error[]; bytes: Buffer[]; ended: boolean } {
  const seen = { errors: [] as Error[], bytes: [] as Buffer[], ended: false };
  stream.on("error", (error) => seen.errors.push(error));
  stream.on("data", (chunk: Buffer) => seen.bytes.push(chunk));
  stream.on("end", () => {
    seen.ended = true;
  });
  return seen;
}

describe("the endings of a stream", () => {
  test.each([
    ["the data's end, then the reason's", [frame.data(3, "", true), frame.data(1, "", true)]],
    ["the reason's end, then the data's", [frame.data(1, "", true), frame.data(3, "", true)]],
  ])("%s: an end in good order", async (_name, frames) => {
    const it = session();
    const seen = watched(it.session.open(TARGET));
    await it.say(Buffer.concat([frame.reply(1), frame.reply(3), frame.data(3, "abc"), ...frames]));
    expect(seen).toMatchObject({ errors: [], ended: true });
    expect(Buffer.concat(seen.bytes).toString()).toBe("abc");
    expect(it.session.streams).toBe(0);
  });

  test("the data's end alone is an end after a while", async () => {
    const it = session();
    const seen = watched(it.session.open(TARGET));
    await it.say(Buffer.concat([frame.reply(3), frame.data(3, "abc", true)]));
    expect(seen.ended).toBe(false);
    await expect.poll(() => seen.ended).toBe(true);
  });

  test.each([
    ["plain text", "read tcp 127.0.0.1: connection reset by peer"],
    ["JSON", JSON.stringify({ message: "write: broken pipe", closeConnection: false })],
  ])("a reset after the data's end, told as %s", async (_name, message) => {
    const it = session();
    const stream = it.session.open(TARGET);
    await it.say(
      Buffer.concat([
        frame.reply(3),
        frame.data(3, "abc"),
        frame.data(3, "", true),
        frame.data(1, message),
        frame.data(1, "", true),
      ]),
    );
    // Nobody has read yet: what came first is read first.
    expect(stream.destroyed).toBe(false);
    const seen = watched(stream);
    await expect.poll(() => seen.errors.length).toBe(1);
    expect(seen.errors[0]).toMatchObject({ code: "ECONNRESET" });
    expect(Buffer.concat(seen.bytes).toString()).toBe("abc");
  });

  test.each([
    ["DIAL_REFUSED", "failed to connect to localhost:80 inside namespace: dial tcp4 127.0.0.1:80: connect: connection refused"],
    [
      "DIAL_REFUSED",
      'failed to connect to localhost:80 inside namespace "01", IPv4: dial tcp4 127.0.0.1:80: connect: connection timed out IPv6 dial tcp6: address localhost: no suitable address found',
    ],
    ["DIAL_GONE", 'failed to find sandbox "0123" in store: not found'],
    ["DIAL_GONE", 'network namespace for sandbox "0123" is closed'],
    ["DIAL_FAILED", "something nobody has seen before"],
    ["ECONNRESET", "read: connection reset by peer"],
  ])("before the first byte: %s", async (code, message) => {
    const it = session();
    const seen = watched(it.session.open(TARGET));
    await it.say(Buffer.concat([frame.reply(3), frame.data(1, `error forwarding port 80: ${message}`), frame.data(1, "", true)]));
    await expect.poll(() => seen.errors).toMatchObject([{ code }]);
  });

  test("RST_STREAM is a reset, of that stream alone", async () => {
    const it = session();
    const [one, two] = [it.session.open(TARGET), it.session.open(TARGET)].map(watched);
    await it.say(Buffer.concat([1, 3, 5, 7].map(frame.reply)));
    await it.say(Buffer.concat([frame.reset(3), frame.data(7, "fine")]));
    expect(one?.errors).toMatchObject([{ code: "ECONNRESET" }]);
    expect(two).toMatchObject({ errors: [], bytes: [Buffer.from("fine")] });
  });

  test("a connection lost before the answer is a failed dial where nothing was sent, else a reset", async () => {
    const it = session();
    const [silent, spoken] = [it.session.open(TARGET), it.session.open(TARGET)];
    const seen = [watched(silent), watched(spoken)];
    spoken.write("hello");
    it.socket.destroy(new Error("cable cut"));
    await expect
      .poll(() => seen.map(({ errors }) => errors))
      .toMatchObject([
        [{ code: "DIAL_FAILED", cause: { message: "cable cut" } }],
        [{ code: "ECONNRESET", cause: { message: "cable cut" } }],
      ]);
    expect(it.closedWith()).toMatchObject({ message: "cable cut" });
  });
});

describe("a hostile server", () => {
  const tricks: fc.Arbitrary<Buffer> = fc.oneof(
    fc.uint8Array({ maxLength: 100 }).map((noise) => Buffer.from(noise)),
    fc
      .tuple(fc.integer({ min: 0, max: 12 }), fc.uint8Array({ maxLength: 50 }), fc.boolean())
      .map(([id, data, fin]) => frame.data(id, Buffer.from(data), fin)),
    fc.integer({ min: 0, max: 12 }).map(frame.reply),
    fc.integer({ min: 0, max: 12 }).map(frame.reset),
    fc.integer({ min: 0, max: 0xffffffff }).map(frame.ping),
    fc.constant(frame.goAway()),
    fc
      .tuple(fc.integer({ min: 0, max: 20 }), fc.uint8Array({ maxLength: 30 }))
      .map(([type, body]) => frame.control(type, 1, Buffer.from(body))),
  );

  test("never crashes us, and every stream ends with an end or a coded error", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(tricks, { maxLength: 25 }), async (all) => {
        const it = session();
        const seen = [1, 2, 3].map(() => watched(it.session.open(TARGET)));
        for (const bytes of all) if (!it.socket.destroyed) it.socket.push(bytes);
        await it.say(Buffer.alloc(0));
        it.socket.destroy();
        for (let i = 0; i < 4; i++) await new Promise((resolve) => setImmediate(resolve));
        expect(it.session.streams).toBe(0);
        for (const { errors, ended } of seen) {
          expect(errors.length + (ended ? 1 : 0)).toBe(1);
          for (const error of errors)
            expect(error).toMatchObject({ code: expect.stringMatching(/^(DIAL_(REFUSED|GONE|FAILED)|ECONNRESET)$/) });
        }
      }),
      { numRuns: 300 },
    );
  });

  test("that opens a stream of its own loses the connection", async () => {
    const it = session();
    const seen = watched(it.session.open(TARGET));
    await it.say(frame.control(1, 0, Buffer.alloc(20)));
    expect(it.closedWith()).toMatchObject({ code: "PORTFORWARD_PROTOCOL" });
    expect(seen.errors).toMatchObject([{ code: "DIAL_FAILED", cause: { code: "PORTFORWARD_PROTOCOL" } }]);
  });

  test("that asks for answers and reads none gets no more than a MiB of them", async () => {
    const socket = new Duplex({ read() {}, write() {} });
    const made = createSpdySession(createRawCarrier({ socket, head: Buffer.alloc(0) }), {
      endings: DEFAULT_ENDINGS,
      maxBufferedPerStream: 1024 * 1024,
      moved: () => {},
      closed: () => {},
      released: () => {},
    });
    const pings = Buffer.concat(Array.from({ length: 5_000 }, () => frame.ping(2)));
    for (let i = 0; i < 60; i++) {
      socket.push(pings);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(made.backlog).toBeLessThan(1.2 * 1024 * 1024);
    socket.destroy();
  });

  test("that sends an endless reason makes us keep a few KiB of it", async () => {
    const it = session();
    const seen = watched(it.session.open(TARGET));
    await it.say(frame.reply(3));
    for (let i = 0; i < 50; i++) await it.say(frame.data(1, Buffer.alloc(60_000, "x")));
    await it.say(frame.data(1, "", true));
    await expect.poll(() => seen.errors.length).toBe(1);
    expect((seen.errors[0] as Error).message.length).toBeLessThan(20_000);
  });
});

describe("the session", () => {
  test("asks with odd ids, the error stream first and closed from our side, and a request id for both", async () => {
    const it = session();
    it.session.open(TARGET);
    it.session.open(TARGET);
    await it.say(Buffer.alloc(0));
    const sent = Buffer.concat(it.heard);
    const seen: Array<[id: number, flags: number]> = [];
    for (let at = 0; at < sent.length; at += 8 + sent.readUIntBE(at + 5, 3))
      seen.push([sent.readUInt32BE(at + 8), sent[at + 4] as number]);
    expect(seen).toEqual([
      [1, 1],
      [3, 0],
      [5, 1],
      [7, 0],
    ]);
  });

  test("cuts long writes into frames of 64 KiB, and joins short ones of one turn", async () => {
    const it = session();
    const stream = it.session.open(TARGET);
    await it.say(frame.reply(3));
    it.heard.length = 0;
    stream.cork();
    for (const text of ["a", "b", "c"]) stream.write(text);
    stream.uncork();
    await it.say(Buffer.alloc(0));
    expect(Buffer.concat(it.heard)).toEqual(frame.data(3, "abc"));
    it.heard.length = 0;
    const long = Buffer.alloc(150_000, "x");
    stream.write(long);
    await it.say(Buffer.alloc(0));
    const sizes: number[] = [];
    const sent = Buffer.concat(it.heard);
    for (let at = 0; at < sent.length; at += 8 + sent.readUIntBE(at + 5, 3)) sizes.push(sent.readUIntBE(at + 5, 3));
    expect(sizes).toEqual([65_536, 65_536, 18_928]);
    stream.destroy();
  });

  test("asks all five of the server's workers for a sign of life after a stream that the pod may not have read", async () => {
    const it = session();
    const stream = it.session.open(TARGET);
    watched(stream);
    await it.say(frame.reply(3));
    stream.write("into the void");
    await it.say(Buffer.concat([frame.data(3, "", true), frame.data(1, "", true)]));
    expect(it.session.pingSince).toBeDefined();
    await it.say(Buffer.concat([1, 3, 5, 7].map(frame.ping)));
    expect(it.session.pingSince).toBeDefined();
    await it.say(frame.ping(9));
    expect(it.session.pingSince).toBeUndefined();
  });
});
