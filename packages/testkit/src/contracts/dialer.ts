import assert from "node:assert/strict";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import type { Dialer, Endpoint, Target } from "@shipside/core";
import type { ContractCase } from "./contract.ts";
import { inTime, rejection } from "./settle.ts";
import { standstill } from "./standstill.ts";

export interface DialTarget {
  target: Target;
  endpoint: Endpoint;
}

/** A dialer to be tested, and what it can dial. */
export interface DialerSubject extends AsyncDisposable {
  readonly dialer: Dialer;
  /** Lets `far` have the far end of each connection to the returned endpoint. Half-open is allowed there. */
  serve(far: (socket: Duplex) => void): Promise<DialTarget>;
  /** An endpoint that is there, on a port where nothing listens. */
  refused(): Promise<DialTarget>;
  /** An endpoint that is no longer there. Left out where this dialer can't tell it from one that refuses. */
  gone?(): Promise<DialTarget>;
}

export interface DialerContractOptions {
  /** Shown before each case. Default "dialer". */
  name?: string;
  /** A fresh subject for each case. */
  open(): Promise<DialerSubject>;
  /** Whether our FIN reaches the far end while its answer can still come back. Default true; port-forward can't. */
  halfClose?: boolean;
  /** Whether a reset of the far end arrives as one. Default true. */
  resets?: boolean;
}

/** More than any path may hold for a reader that has stalled, in bytes. */
const TOO_MUCH = 64 * 1024 * 1024;

/** What every {@link Dialer} must do. */
export function dialerContract(options: DialerContractOptions): ContractCase[] {
  const contract = (name: string, run: (subject: DialerSubject) => Promise<void>): ContractCase => ({
    name: `${options.name ?? "dialer"}: ${name}`,
    async run() {
      await using subject = await options.open();
      await run(subject);
    },
  });
  const dial = async ({ dialer }: DialerSubject, to: DialTarget): Promise<Duplex> => {
    const stream = await inTime(dialer.dial({ ...to, signal: new AbortController().signal }), "dial");
    stream.on("error", () => {});
    return stream;
  };

  const cases = [
    contract("carries bytes both ways, all of them, in order", async (subject) => {
      const stream = await dial(subject, await subject.serve(echo));
      assert.equal(stream.allowHalfOpen, true, "allowHalfOpen");
      const sent = pattern(3_000_000, 7);
      stream.write(sent);
      const got = await read(stream, sent.length);
      assert.ok(got.equals(sent), "what came back is what was sent");
      stream.destroy();
    }),

    contract("carries many connections at once", async (subject) => {
      const to = await subject.serve(echo);
      const one = async (seed: number): Promise<void> => {
        const stream = await dial(subject, to);
        const sent = pattern(20_000, seed);
        stream.write(sent);
        assert.ok((await read(stream, sent.length)).equals(sent), `connection ${seed}`);
        stream.destroy();
      };
      await Promise.all(Array.from({ length: 40 }, (_, seed) => one(seed)));
    }),

    contract("the far end's FIN is `end`, behind everything it sent", async (subject) => {
      const sent = pattern(500_000, 3);
      const stream = await dial(subject, await subject.serve((socket) => void socket.end(sent)));
      assert.ok((await readAll(stream)).equals(sent), "all bytes came before the end");
      stream.destroy();
    }),

    contract("our end is seen by the far end", async (subject) => {
      const far = deferred<Duplex>();
      const stream = await dial(subject, await subject.serve(far.resolve));
      stream.end("goodbye");
      const socket = await inTime(far.promise, "the connection arrives");
      assert.equal((await readAll(socket)).toString(), "goodbye");
      socket.end();
      stream.resume();
      stream.destroy();
    }),

    contract("destroying it closes the far end", async (subject) => {
      const far = deferred<Duplex>();
      const stream = await dial(subject, await subject.serve(far.resolve));
      stream.write("x");
      const socket = await inTime(far.promise, "the connection arrives");
      const over = new Promise<void>((resolve) => {
        socket.on("end", resolve);
        socket.on("close", resolve);
        socket.on("error", () => resolve());
      });
      socket.resume();
      stream.destroy();
      await inTime(over, "the far end notices");
      socket.destroy();
    }),

    contract("a far end that doesn't read stalls the writer, and no other stream", async (subject) => {
      const stalled: Duplex[] = [];
      const to = await subject.serve((socket) => {
        socket.once("data", (first: Buffer) => {
          if (first[0] === 0) {
            stalled.push(socket);
            socket.pause();
          } else {
            socket.write(first);
            echo(socket);
          }
        });
      });
      const slow = await dial(subject, to);
      const before = await dial(subject, to);
      before.write("a");
      await read(before, 1);
      assert.ok((await writeUntilFull(slow)) < TOO_MUCH, "writes are held back");
      before.write("b");
      assert.equal((await read(before, 1)).toString(), "b", "a stream that stood already goes on");
      const after = await dial(subject, to);
      after.write("c");
      assert.equal((await read(after, 1)).toString(), "c", "a new stream works");
      for (const stream of [slow, before, after, ...stalled]) stream.destroy();
    }),

    contract("a reader that stops holds the far end back, and no other stream", async (subject) => {
      let sent = 0;
      const to = await subject.serve((socket) => {
        socket.once("data", (first: Buffer) => {
          if (first[0] !== 0) {
            socket.write(first);
            return;
          }
          const more = (): void => {
            while (sent < 2 * TOO_MUCH) {
              sent += 65_536;
              if (!socket.write(Buffer.alloc(65_536))) return;
            }
          };
          socket.on("drain", more);
          more();
        });
      });
      const slow = await dial(subject, to);
      slow.write(Buffer.from([0]));
      await standstill(() => sent);
      assert.ok(sent < TOO_MUCH, "the far end is held back");
      const other = await dial(subject, to);
      other.write("x");
      assert.equal((await read(other, 1)).toString(), "x");
      slow.destroy();
      other.destroy();
    }),

    contract("nothing listens: DIAL_REFUSED", async (subject) => {
      const to = await subject.refused();
      const code = await rejection(subject.dialer.dial({ ...to, signal: new AbortController().signal }), "dial");
      assert.equal(code, "DIAL_REFUSED");
      // And it still works.
      (await dial(subject, await subject.serve(echo))).destroy();
    }),

    contract("no longer there: DIAL_GONE, where it can tell", async (subject) => {
      if (!subject.gone) return;
      const to = await subject.gone();
      assert.equal(await rejection(subject.dialer.dial({ ...to, signal: new AbortController().signal }), "dial"), "DIAL_GONE");
    }),

    contract("an aborted dial rejects", async (subject) => {
      const to = await subject.serve(echo);
      await rejection(subject.dialer.dial({ ...to, signal: AbortSignal.abort() }), "a dial that was aborted before it began");
      const abort = new AbortController();
      const dialling = subject.dialer.dial({ ...to, signal: abort.signal });
      abort.abort();
      // It may have been through already; then it's an ordinary stream.
      await inTime(
        dialling.then(
          (stream) => void stream.destroy(),
          () => {},
        ),
        "a dial that is aborted settles",
      );
    }),

    contract("close may be called again; then nothing more is dialled", async (subject) => {
      const to = await subject.serve(echo);
      (await dial(subject, to)).destroy();
      const { dialer } = subject;
      await inTime(Promise.all([dialer.close(), dialer.close()]), "close");
      await dialer.close();
      await rejection(dialer.dial({ ...to, signal: new AbortController().signal }), "a dial after close");
    }),
  ];

  if (options.halfClose !== false) {
    cases.push(
      contract("an answer that comes long after our FIN arrives", async (subject) => {
        const to = await subject.serve((socket) => {
          socket.resume();
          socket.on("end", () => setTimeout(() => socket.end("at last"), 1500));
        });
        const stream = await dial(subject, to);
        stream.end("question");
        assert.equal((await readAll(stream)).toString(), "at last");
      }),
      contract("after the far end's FIN we can still send", async (subject) => {
        const got = deferred<Buffer>();
        const to = await subject.serve((socket) => {
          socket.end();
          got.resolve(readAll(socket) as never);
        });
        const stream = await dial(subject, to);
        stream.resume();
        await inTime(new Promise((resolve) => stream.once("end", resolve)), "the far end's FIN");
        await sleep(1500);
        stream.end("still here");
        assert.equal((await inTime(got.promise, "what we sent")).toString(), "still here");
      }),
    );
  }
  if (options.resets !== false) {
    cases.push(
      contract("a reset of the far end is an error, ECONNRESET", async (subject) => {
        const to = await subject.serve((socket) => {
          socket.once("data", () => (socket as Duplex & { resetAndDestroy(): void }).resetAndDestroy());
        });
        const { dialer } = subject;
        const stream = await inTime(dialer.dial({ ...to, signal: new AbortController().signal }), "dial");
        const failed = new Promise<NodeJS.ErrnoException>((resolve) => stream.once("error", resolve));
        stream.resume();
        stream.write("x");
        assert.equal((await inTime(failed, "the error")).code, "ECONNRESET");
      }),
    );
  }
  return cases;
}

const echo = (socket: Duplex): void => {
  socket.on("error", () => {});
  socket.pipe(socket);
};

const pattern = (length: number, seed: number): Buffer => {
  const out = Buffer.allocUnsafe(length);
  for (let at = 0, value = seed + 1; at < length; at++) {
    value = (value * 1_103_515_245 + 12_345) & 0x7fffffff;
    out[at] = value >> 16;
  }
  return out;
};

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

/** Exactly so many bytes; the stream stays paused afterwards. */
async function read(stream: Duplex, count: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  let missing = count;
  const all = new Promise<void>((resolve, reject) => {
    const take = (chunk: Buffer): void => {
      parts.push(chunk);
      missing -= chunk.length;
      if (missing > 0) return;
      stream.off("data", take);
      stream.pause();
      resolve();
    };
    stream.on("data", take);
    stream.once("end", () => reject(new Error(`ended ${missing} bytes early`)));
    stream.resume();
  });
  await inTime(all, `reading ${count} bytes`, 10_000);
  return Buffer.concat(parts);
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const parts: Buffer[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    stream.on("data", (chunk: Buffer) => parts.push(chunk));
    stream.once("end", resolve);
    stream.once("error", reject);
  });
  await inTime(ended, "the end of the stream", 10_000);
  return Buffer.concat(parts);
}

/** Writes, heeding backpressure, until nothing more is taken. Returns how much that was. */
async function writeUntilFull(stream: Duplex): Promise<number> {
  let written = 0;
  const more = (): void => {
    while (written < 2 * TOO_MUCH) {
      written += 65_536;
      if (!stream.write(Buffer.alloc(65_536))) return;
    }
  };
  stream.on("drain", more);
  more();
  return standstill(() => written);
}
