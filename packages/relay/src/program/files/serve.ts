import type { Duplex } from "node:stream";
import { confineTo } from "./confine.ts";
import { frameReader } from "./frames.ts";
import { createHandles } from "./handles.ts";
import { fileOperations } from "./operations.ts";
import { versionReply } from "./replies.ts";
import { BadFrame, isInit, parseRequest } from "./sftp.ts";
import { watchStandstill } from "./standstill.ts";

/** The longest reply that waits for those to what came with it, in bytes, and how many of them wait. */
const SMALL = 16 * 1024;
const MOST_SMALL = 64;

export interface ServeFilesOptions {
  /** Absolute directories; nothing outside of them is served. */
  roots: readonly string[];
  /** Having stood still for longer, in ms, it ends the stream: what came on it before isn't done any more. Default 8,000. */
  patienceMs?: number;
}

/**
 * Serves directories over a stream by SFTP version 3, one request after the other, with the extensions of OpenSSH for fsync, rename, hard
 * links and free space, and ours for replacing a file only where it is as expected. No more of the stream is read than is being worked on.
 * Resolves when the stream is over and all that was open is closed; a client that breaks the protocol is cut off. Never rejects.
 */
export async function serveFiles(stream: Duplex, { roots, patienceMs = 8_000 }: ServeFilesOptions): Promise<void> {
  const handles = createHandles();
  const operations = fileOperations({ confine: confineTo(roots), handles });
  const frames = frameReader();
  const over = Promise.withResolvers<void>();
  let working: Promise<void> | undefined;
  const standstill = watchStandstill({ roots, patienceMs, onGivenUp: () => stream.destroy() });

  /** Replies that leave together: each write costs both ends of the link the same, however little it is. */
  let small: Buffer[] = [];

  /** False where the stream has no more room for now. */
  const flush = (): boolean => {
    const together = small;
    small = [];
    if (together.length === 0 || stream.destroyed) return true;
    return stream.write(together.length === 1 ? together[0]! : Buffer.concat(together));
  };
  /** False as {@link flush}. What is small may stay until that. */
  const send = (reply: Buffer): boolean => {
    if (reply.length <= SMALL) {
      small.push(reply);
      return small.length < MOST_SMALL || flush();
    }
    flush();
    return stream.destroyed || stream.write(reply);
  };
  /** A promise where something has to be waited for: until then nothing more may be read. */
  const answer = (packets: Iterator<Buffer>): Promise<void> | undefined => {
    for (let packet = packets.next(); !packet.done; packet = packets.next()) {
      const reply = isInit(packet.value) ? versionReply() : operations(parseRequest(packet.value));
      if (reply instanceof Promise) return goOn(reply, packets);
      if (standstill.check() || stream.destroyed) return;
      if (!send(reply)) return drained(stream).then(() => answer(packets));
    }
    return flush() ? undefined : drained(stream);
  };
  const goOn = async (awaited: Promise<Buffer>, packets: Iterator<Buffer>): Promise<void> => {
    // What is done already isn't kept waiting for what takes long.
    if (!flush()) await drained(stream);
    if (!send(await standstill.during(awaited))) await drained(stream);
    if (!stream.destroyed) await answer(packets);
  };
  // What comes here is a client's doing: the stream's own failure is told by its close.
  const fail = (error: unknown): void => void stream.destroy(error instanceof BadFrame ? error : undefined);

  // Stays: a stream that was destroyed may report late.
  stream.on("error", () => {});
  stream.once("close", over.resolve);
  stream.once("end", () => {
    stream.end();
    over.resolve();
  });
  // In the flowing way, since most is answered within the same turn: an iterator would take several.
  stream.on("data", (chunk: Buffer) => {
    if (standstill.check()) return;
    try {
      working = answer(frames.push(chunk));
    } catch (error) {
      return fail(error);
    }
    if (!working) return;
    stream.pause();
    working.then(() => stream.resume(), fail);
  });
  if (stream.destroyed) over.resolve();
  await over.promise;
  standstill.stop();
  await working?.catch(() => {});
  await handles.closeAll();
}

/** Or closed. By hand: bulk comes here for every few packets, and to abort `once` makes an error with its stack each time. */
function drained(stream: Duplex): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    stream.on("close", done);
  });
}
