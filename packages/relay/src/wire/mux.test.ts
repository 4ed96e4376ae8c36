import { once } from "node:events";
import { Duplex, duplexPair } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { encodeCredit, encodeHeader, encodeText, FRAME } from "./frames.ts";
import { type Asked, createMux, type Mux } from "./mux.ts";
import { FIRST_WINDOW } from "./mux-stream.ts";

const eventually = <T>(check: () => T): Promise<T> => vi.waitFor(check, { timeout: 10_000, interval: 5 });
const nothing = (): undefined => undefined;

/** A session between two ends of this process. */
function pair(onOpen: (asked: Asked) => void): { opener: Mux; wires: [Duplex, Duplex] } {
  const wires = duplexPair();
  const opener = createMux({ wire: wires[0], end: "ours", silenceMs: 10_000 });
  const other = createMux({ wire: wires[1], end: "relay", silenceMs: 10_000, onOpen });
  onTestFinished(() => {
    opener.destroy();
    other.destroy();
  });
  return { opener, wires };
}

/** A session that a far end of the test's own making talks to. */
function facing(onOpen: ((asked: Asked) => void) | undefined): { mux: Mux; far: Duplex } {
  const [wire, far] = duplexPair();
  const mux = createMux({ wire, end: "relay", silenceMs: 10_000, ...(onOpen && { onOpen }) });
  far.on("error", () => {});
  onTestFinished(() => mux.destroy());
  return { mux, far };
}

test("streams of any lengths, written in any pieces and read at any pace, arrive whole, each with its own end", async () => {
  const piece = fc.record({ stream: fc.nat({ max: 5 }), length: fc.integer({ min: 1, max: 300_000 }), pause: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 25 }), async (pieces) => {
      const { opener } = pair(({ stream, accept }) => {
        accept();
        // Back as it comes, so that both directions are looked at.
        stream.pipe(stream);
      });
      const streams = Array.from({ length: 6 }, (_, i) => opener.open({ i }, nothing));
      const sent = streams.map((): Buffer[] => []);
      const got = streams.map((stream, i) => {
        const parts: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => {
          parts.push(Buffer.from(chunk));
          if (i % 2 === 0) return;
          stream.pause();
          setImmediate(() => stream.resume());
        });
        return once(stream, "end").then(() => Buffer.concat(parts));
      });
      for (const [n, { stream, length, pause }] of pieces.entries()) {
        const bytes = Buffer.alloc(length, n + 1);
        sent[stream]!.push(bytes);
        streams[stream]!.write(bytes);
        if (pause) await turn();
      }
      for (const stream of streams) stream.end();
      for (const [i, all] of (await Promise.all(got)).entries()) expect(all.equals(Buffer.concat(sent[i]!))).toBe(true);
      opener.destroy();
    }),
    { numRuns: 30 },
  );
});

test("small frames that come in one piece reach their reader together, in their order, before what is large or of another kind", async () => {
  const events: Record<string, unknown[]> = { one: [], two: [] };
  const { far } = facing(({ stream, question, accept }) => {
    accept();
    const mine = events[question["name"] as string]!;
    stream.on("data", (bytes: Buffer) => mine.push(bytes.length > 100 ? bytes.length : String(bytes)));
    stream.on("end", () => mine.push("end"));
  });
  const data = (stream: number, bytes: string): Buffer[] => [encodeHeader(FRAME.DATA, stream, bytes.length), Buffer.from(bytes)];
  far.write(
    Buffer.concat([
      ...[encodeText(FRAME.OPEN, 1, { name: "one" }), encodeText(FRAME.OPEN, 2, { name: "two" })],
      ...[...data(1, "a"), ...data(1, "b"), ...data(1, "c"), ...data(2, "d"), ...data(1, "e"), ...data(1, "f")],
      ...[...data(1, "x".repeat(10_000)), ...data(1, "g"), ...data(2, "h"), ...data(2, "i"), encodeHeader(FRAME.FIN, 2, 0)],
    ]),
  );
  await eventually(() => expect(events).toEqual({ one: ["abc", "ef", 10_000, "g"], two: ["d", "hi", "end"] }));
});

test("nobody reads: a writer gets rid of the first window and no more; once read, of all, and the window grows", async () => {
  let far: Duplex | undefined;
  const { opener } = pair(({ stream, accept }) => {
    accept();
    far = stream;
  });
  const stream = opener.open({}, nothing);
  const bytes = 64 * 1024 * 1024;
  stream.end(Buffer.alloc(bytes));
  await eventually(() => expect(far?.readableLength).toBe(FIRST_WINDOW));
  await turn();
  expect(far!.readableLength).toBe(FIRST_WINDOW);
  let got = 0;
  far!.on("data", (chunk: Buffer) => {
    got += chunk.length;
    if (got >= bytes / 4) far!.pause();
  });
  await eventually(() => expect(far!.readableLength).toBeGreaterThan(2 * 1024 * 1024));
  await turn();
  expect(far!.readableLength).toBeLessThanOrEqual(4 * 1024 * 1024);
  far!.removeAllListeners("data");
  far!.on("data", (chunk: Buffer) => (got += chunk.length)).resume();
  await once(far!, "end");
  expect(got).toBe(bytes);
});

test("a stream that is destroyed is a reset at the other end, whichever end does it, and no other stream's matter", async () => {
  const others: Duplex[] = [];
  const { opener } = pair(({ stream, accept }) => {
    accept();
    others.push(stream);
  });
  const [a, b, c] = [1, 2, 3].map((n) => opener.open({ n }, nothing)) as [Duplex, Duplex, Duplex];
  await eventually(() => expect(others).toHaveLength(3));
  const [farA, farB, farC] = others as [Duplex, Duplex, Duplex];
  const errors = Promise.all([once(farA, "error"), once(b, "error")]);
  a.destroy();
  farB.destroy();
  for (const [error] of await errors) expect(error).toMatchObject({ code: "ECONNRESET" });
  farC.end("fine");
  expect(String((await once(c, "data"))[0])).toBe("fine");
});

test("a refusal is the stream's error of the opener's choice; what was sent is dropped", async () => {
  const { opener } = pair(({ refuse }) => refuse({ code: "NO" }));
  const stream = opener.open({}, (answer) => ("refused" in answer ? Object.assign(new Error("no"), answer.refused) : undefined));
  stream.end(Buffer.alloc(500_000));
  expect((await once(stream, "error"))[0]).toMatchObject({ code: "NO" });
  expect(opener.isClosed).toBe(false);
});

test("what a far end must not send ends the session, and resets its streams", async () => {
  const open = encodeText(FRAME.OPEN, 1, {});
  const data = (id: number, length: number): Buffer => Buffer.concat([encodeHeader(FRAME.DATA, id, length), Buffer.alloc(length)]);
  for (const [what, frames] of Object.entries({
    "more than the window": [open, data(1, 65_536), data(1, 65_536), data(1, 1)],
    "bytes behind the end": [open, encodeHeader(FRAME.FIN, 1, 0), data(1, 1)],
    "two ends": [open, encodeHeader(FRAME.FIN, 1, 0), encodeHeader(FRAME.FIN, 1, 0)],
    "a number twice": [open, open],
    "a stream never opened": [data(7, 1)],
    "an answer to nothing": [open, encodeText(FRAME.ACCEPT, 1, undefined)],
    "no JSON": [Buffer.concat([encodeHeader(FRAME.OPEN, 1, 2), Buffer.from("{]")])],
    "no object": [encodeText(FRAME.OPEN, 1, [])],
  })) {
    const reset = Promise.withResolvers<unknown>();
    const { mux, far } = facing(({ stream }) => stream.on("error", reset.resolve));
    for (const frame of frames) far.write(frame);
    expect(await mux.closed, what).toMatchObject({ code: "RELAY_PROTOCOL" });
    if (frames[0] === open) expect(await reset.promise, what).toMatchObject({ code: "ECONNRESET" });
  }
  const { mux, far } = facing(undefined);
  far.write(open);
  expect(await mux.closed, "an opening by the wrong end").toMatchObject({ code: "RELAY_PROTOCOL" });
});

test("whatever bytes come, the session goes on or ends with a code, and holds no more than its windows", async () => {
  const id = fc.integer({ min: 0, max: 6 });
  const frame = fc.oneof(
    fc
      .record({ type: fc.integer({ min: 0, max: 10 }), id, length: fc.nat({ max: 70_000 }) })
      .map((f) => encodeHeader(f.type as 1, f.id, f.length)),
    fc
      .record({ id, length: fc.integer({ min: 1, max: 65_536 }) })
      .map((f) => Buffer.concat([encodeHeader(FRAME.DATA, f.id, f.length), Buffer.alloc(f.length)])),
    id.map((n) => encodeText(FRAME.OPEN, n, { authority: "h:1" })),
    fc.record({ id, bytes: fc.nat() }).map((f) => encodeCredit(f.id, f.bytes)),
    fc.constantFrom(FRAME.FIN, FRAME.RESET, FRAME.PING).chain((type) => id.map((n) => encodeHeader(type, n, 0))),
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(frame, { maxLength: 40 }), async (frames) => {
      const streams: Duplex[] = [];
      const { mux, far } = facing(({ stream, accept, refuse }) => {
        streams.push(stream);
        if (streams.length % 3 === 0) refuse({ message: "no" });
        else accept();
        stream.write("hello");
      });
      far.resume();
      for (const bytes of frames) far.write(bytes);
      await turn();
      await turn();
      for (const stream of streams) expect(stream.readableLength).toBeLessThanOrEqual(FIRST_WINDOW);
      if (mux.isClosed) {
        const error = (await mux.closed) as { code?: string };
        expect(["RELAY_PROTOCOL", "RELAY_LINK_LOST"]).toContain(error.code);
        expect(streams.every(({ destroyed }) => destroyed)).toBe(true);
      }
      mux.destroy();
    }),
    { numRuns: 200 },
  );
});

test("who asks and asks without reading the answers is cut off", async () => {
  const { mux, far } = facing(({ refuse }) => refuse({ message: "x".repeat(16_000) }));
  for (let id = 1; id < 3_000 && !far.destroyed; id++) {
    if (!far.write(encodeText(FRAME.OPEN, id, {}))) await turn();
  }
  expect(await mux.closed).toMatchObject({ code: "RELAY_PROTOCOL" });
});

test("streams take turns: a small answer comes before the end of a bulk one", async () => {
  const { opener } = pair(({ question, stream, accept }) => {
    accept();
    stream.end(Buffer.alloc(question["bytes"] as number));
  });
  const bulk = opener.open({ bytes: 64 * 1024 * 1024 }, nothing);
  let got = 0;
  let gotBefore: number | undefined;
  bulk.on("data", (chunk: Buffer) => {
    if (got === 0) {
      const small = opener.open({ bytes: 10 }, nothing).resume();
      small.once("end", () => {
        gotBefore = got;
      });
    }
    got += chunk.length;
  });
  await once(bulk, "end");
  expect(gotBefore).toBeLessThan(8 * 1024 * 1024);
});

/** A wire that tells how often it was written to. */
function counted(): { wire: Duplex; writes: () => number } {
  let writes = 0;
  const wire = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      writes++;
      done();
    },
    writev(_chunks, done) {
      writes++;
      done();
    },
  });
  return { wire, writes: () => writes };
}

test("a question leaves together with what is written to its stream in the next turn, and alone where that is nothing", async () => {
  const { wire, writes } = counted();
  const mux = createMux({ wire, end: "ours", silenceMs: 10_000 });
  onTestFinished(() => mux.destroy());
  const stream = mux.open({}, nothing);
  await turn();
  stream.write("first bytes");
  await eventually(() => expect(wire.writableLength).toBe(0));
  expect(writes()).toBe(1);
  mux.open({}, nothing);
  await eventually(() => expect(writes()).toBe(2));
});

test("who sends bytes along with a question doesn't wait for the answer, which comes with the bytes back; else at once", async () => {
  const { wire, writes } = counted();
  const questions: Asked[] = [];
  const mux = createMux({ wire, end: "relay", silenceMs: 10_000, onOpen: (asked) => void questions.push(asked) });
  onTestFinished(() => mux.destroy());
  wire.push(Buffer.concat([encodeText(FRAME.OPEN, 1, {}), encodeHeader(FRAME.DATA, 1, 1), Buffer.from("x")]));
  await eventually(() => expect(questions).toHaveLength(1));
  questions[0]!.accept();
  for (let i = 0; i < 3; i++) await turn();
  expect(writes()).toBe(0);
  questions[0]!.stream.write("back");
  await eventually(() => expect(writes()).toBe(1));

  wire.push(encodeText(FRAME.OPEN, 2, {}));
  await eventually(() => expect(questions).toHaveLength(2));
  questions[1]!.accept();
  await turn();
  await turn();
  expect(writes()).toBe(2);
});
