import assert from "node:assert/strict";
import { once } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import type { Dialer, DialRequest } from "@shipside/core";
import type { ContractCase } from "./contract.ts";

type Destination = Omit<DialRequest, "signal">;

export interface DialerSubject extends AsyncDisposable {
  dialer: Dialer;
  /** Something to dial whose far side is this. Sockets come with `allowHalfOpen`. */
  serve(onConnection: (socket: Socket) => void): Promise<Destination>;
  /** Where nothing listens. */
  refused(): Promise<Destination>;
  /** What no longer exists, where the dialer can tell that from a refusal. */
  gone?(): Promise<Destination>;
}

export interface DialerContractOptions {
  /** Prefix of the cases' names. */
  name?: string;
  open(): Promise<DialerSubject>;
  /**
   * The path tells the far side of our end at once, and carries its answer however late. Without it an end may be withheld until the
   * far side has ended. Default true.
   */
  halfClose?: boolean;
}

/** What every {@link Dialer} must do. */
export function dialerContract(options: DialerContractOptions): ContractCase[] {
  const contract = (name: string, run: (subject: DialerSubject) => Promise<void>): ContractCase => ({
    name: `${options.name ?? "dialer"}: ${name}`,
    async run() {
      await using subject = await options.open();
      await run(subject);
    },
  });
  const { halfClose = true } = options;

  return [
    contract("bytes go both ways at once, and arrive as they were", async (subject) => {
      const size = 2 * 1024 * 1024;
      const down = Buffer.alloc(size, "abcdefg");
      let up: Promise<Buffer> | undefined;
      const stream = await dial(subject, (socket) => {
        let seen = 0;
        const parts: Buffer[] = [];
        up = new Promise((resolve) => {
          socket.on("data", (chunk) => {
            parts.push(chunk);
            seen += chunk.length;
            if (seen < size) return;
            resolve(Buffer.concat(parts));
            socket.end();
          });
        });
        socket.write(down);
      });
      const sent = Buffer.alloc(size, "0123456789");
      stream.write(sent);
      assert.ok((await buffer(stream)).equals(down), "what came is what was sent to us");
      assert.ok((await up)?.equals(sent), "what arrived is what we sent");
      stream.destroy();
    }),

    contract("the far side's end is an end, after all its bytes", async (subject) => {
      const stream = await dial(subject, (socket) => socket.end("good bye"));
      assert.equal(await text(stream), "good bye");
      stream.destroy();
    }),

    ...(halfClose
      ? [
          contract("our end is an end there, and the answer to it arrives", async (subject) => {
            const stream = await dial(subject, (socket) => {
              void text(socket).then((all) => setTimeout(() => socket.end(`${all}!`), 50));
            });
            stream.end("question");
            assert.equal(await text(stream), "question!");
          }),
        ]
      : []),

    contract("an answer that is on its way when we end arrives", async (subject) => {
      const stream = await dial(subject, (socket) => {
        socket.once("data", () => setTimeout(() => socket.end("answer"), 300));
      });
      stream.end("question");
      assert.equal(await text(stream), "answer");
    }),

    contract("the far side's reset is ECONNRESET", async (subject) => {
      const stream = await dial(subject, (socket) => void socket.once("data", () => socket.resetAndDestroy()));
      stream.write("go");
      await assert.rejects(text(stream), { code: "ECONNRESET" });
    }),

    contract("destroying the stream ends the far side", async (subject) => {
      let closed: Promise<unknown> | undefined;
      const stream = await dial(subject, (socket) => {
        closed = new Promise((resolve) => socket.on("close", resolve));
        socket
          .on("error", () => {})
          .on("end", () => socket.end())
          .resume();
        socket.write("hello");
      });
      await once(stream, "data");
      stream.destroy();
      await closed;
    }),

    contract("a reader that stalls holds its own far side back, and no other stream", async (subject) => {
      let written = 0;
      const destination = await subject.serve((socket) => {
        const pour = (): void => {
          while (!socket.destroyed && written < 512 * 1024 * 1024) {
            written += 64 * 1024;
            if (!socket.write(Buffer.alloc(64 * 1024))) return void socket.once("drain", pour);
          }
        };
        socket.on("error", () => {});
        socket.once("data", (chunk) => (String(chunk) === "pour" ? pour() : socket.end("quick")));
      });
      const stalled = await subject.dialer.dial({ ...destination, signal: AbortSignal.timeout(10_000) });
      stalled.on("error", () => {});
      stalled.write("pour");
      let before = -1;
      while (before !== written) {
        before = written;
        await new Promise((resolve) => setTimeout(resolve, 300));
      }
      assert.ok(written < 256 * 1024 * 1024, `the far side wrote ${written} bytes to a reader that doesn't read`);
      const other = await subject.dialer.dial({ ...destination, signal: AbortSignal.timeout(10_000) });
      other.write("other");
      assert.equal(await text(other), "quick");
      other.destroy();
      stalled.destroy();
    }),

    contract("nothing listens: DIAL_REFUSED, from the dial or the stream", async (subject) => {
      await assert.rejects(firstByte(subject, await subject.refused()), { code: "DIAL_REFUSED" });
    }),

    contract("what no longer exists: DIAL_GONE", async (subject) => {
      if (!subject.gone) return;
      await assert.rejects(firstByte(subject, await subject.gone()), { code: "DIAL_GONE" });
    }),

    contract("an abort ends the dial", async (subject) => {
      const destination = await subject.serve(() => {});
      await assert.rejects(subject.dialer.dial({ ...destination, signal: AbortSignal.abort(new Error("enough")) }));
    }),

    contract("closing twice is closing once", async (subject) => {
      await subject.dialer.close();
      await subject.dialer.close();
    }),
  ];
}

async function dial(subject: DialerSubject, onConnection: (socket: Socket) => void): Promise<Duplex> {
  const destination = await subject.serve((socket) => onConnection(socket.on("error", () => {})));
  const stream = await subject.dialer.dial({ ...destination, signal: AbortSignal.timeout(10_000) });
  return stream.on("error", () => {});
}

/** A path may learn of a refusal only after it has opened the stream. */
async function firstByte(subject: DialerSubject, destination: Destination): Promise<void> {
  const stream = await subject.dialer.dial({ ...destination, signal: AbortSignal.timeout(10_000) });
  stream.write("anybody there?");
  for await (const _chunk of stream) break;
}
