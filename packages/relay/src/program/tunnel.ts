import type { Duplex } from "node:stream";
import { resetStream } from "@shipside/core";
import { type ByteSource, write } from "./byte-source.ts";

/** A stream whose bytes are pulled. */
export interface Side {
  stream: Duplex;
  source: ByteSource;
}

/** Joins two sides until both have ended: bytes as they are, a half-close as a half-close, a reset as a reset. Never rejects. */
export async function tunnel(a: Side, b: Side): Promise<void> {
  const fail = (): void => {
    resetStream(a.stream);
    resetStream(b.stream);
  };
  const onClose = (side: Side): (() => void) => {
    const check = (): void => {
      if (!side.stream.readableEnded || !side.stream.writableFinished) fail();
    };
    side.stream.once("close", check);
    if (side.stream.destroyed) check();
    return () => side.stream.off("close", check);
  };
  const undo = [onClose(a), onClose(b)];
  const carry = async (from: Side, to: Side): Promise<void> => {
    for (let chunk = await from.source.read(); chunk; chunk = await from.source.read()) {
      const full = write(to.stream, chunk);
      if (full) await full;
    }
    to.stream.end();
  };
  try {
    await Promise.all([carry(a, b), carry(b, a)]);
    await Promise.all([closed(a.stream), closed(b.stream)]);
  } catch {
    fail();
  } finally {
    for (const off of undo) off();
  }
}

const closed = (stream: Duplex): Promise<void> =>
  stream.closed ? Promise.resolve() : new Promise((resolve) => stream.once("close", () => resolve()));
