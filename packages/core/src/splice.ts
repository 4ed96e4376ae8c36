import type { Duplex } from "node:stream";
import { abortError } from "./errors.ts";
import { resetStream } from "./reset.ts";

export interface SpliceResult {
  /** What came of `a` for `b`, whether or not that took all of it. */
  bytesAtoB: number;
  bytesBtoA: number;
  /** What ended it, where it wasn't both sides ending in good order. */
  error?: Error;
}

export interface SpliceOptions {
  /** Resets both sides when it fires. */
  signal?: AbortSignal;
  /**
   * `false` withholds the end of `a` from `b` until `b` has ended itself: for paths that can't express a half-close and would cut the
   * reply. Default `true`.
   */
  passEndOfA?: boolean;
}

/**
 * Joins two duplex streams until both are closed: bytes both ways with backpressure, a half-close carried as a half-close, an error or
 * reset on one side carried to the other as a reset where it is a socket. Never rejects. Both streams need `allowHalfOpen: true`.
 */
export function splice(a: Duplex, b: Duplex, options: SpliceOptions = {}): Promise<SpliceResult> {
  const { signal, passEndOfA = true } = options;
  const result: SpliceResult = { bytesAtoB: 0, bytesBtoA: 0 };
  const open = new Set([a, b].filter((stream) => !stream.closed));

  return new Promise((resolve) => {
    const fail = (error?: Error): void => {
      if (error) result.error ??= error;
      resetStream(a);
      resetStream(b);
    };
    const onAbort = (): void => fail(abortError(signal!));
    const done = (): void => {
      signal?.removeEventListener("abort", onAbort);
      resolve(result);
    };

    const pump = (from: Duplex, to: Duplex, count: (bytes: number) => void, onEnd: () => void): void => {
      // Stays for good: a destroyed stream may report late, and an error nobody listens to ends the process.
      from.on("error", fail);
      from.on("data", (chunk: Uint8Array) => {
        count(chunk.length);
        if (to.writable && !to.write(chunk)) from.pause();
      });
      to.on("drain", () => from.resume());
      from.once("end", onEnd);
      if (from.readableEnded) onEnd();
      from.once("close", () => {
        open.delete(from);
        // Gone without having ended both ways: the other side must not wait for bytes that will never come.
        if (!from.readableEnded || !from.writableFinished) fail();
        if (open.size === 0) done();
      });
    };

    pump(
      a,
      b,
      (bytes) => (result.bytesAtoB += bytes),
      () => {
        if (passEndOfA || b.readableEnded) endOnce(b);
      },
    );
    pump(
      b,
      a,
      (bytes) => (result.bytesBtoA += bytes),
      () => {
        endOnce(a);
        if (a.readableEnded) endOnce(b);
      },
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    if (a.destroyed || b.destroyed) fail();
    if (open.size === 0) done();
  });
}

/** To end what has ended makes Node make an error with its stack, and drop it: as dear as all else of a short connection. */
function endOnce(stream: Duplex): void {
  if (!stream.writableEnded) stream.end();
}
