import type { Duplex } from "node:stream";

export interface SpliceResult {
  /** Bytes that went from `a` to `b`, and from `b` to `a`. */
  bytesAtoB: number;
  bytesBtoA: number;
  /** What ended it, if it wasn't both sides ending in good order. */
  error?: Error;
}

export interface SpliceOptions {
  /** Ends both sides at once. */
  signal?: AbortSignal;
  /**
   * Called when `a` has ended its writing half. Return false to withhold the end from `b` (a path that can't express half-close
   * would cut the reply); `b` is then ended when it ends itself.
   */
  onEndOfA?: () => boolean;
}

/**
 * Joins two duplex streams until both have ended: bytes both ways with backpressure, a half-close carried as a half-close, an
 * error or reset on one side carried to the other as a reset where it is a socket. Never rejects and never throws.
 * Both streams must have been made with `allowHalfOpen: true`.
 */
export function splice(a: Duplex, b: Duplex, options: SpliceOptions = {}): Promise<SpliceResult> {
  return new Promise((resolve) => {
    const result: SpliceResult = { bytesAtoB: 0, bytesBtoA: 0 };
    let open = 2;
    const undo: Array<() => void> = [];
    const on = (stream: Duplex, event: string, listener: (...args: never[]) => void): void => {
      stream.on(event, listener as (...args: unknown[]) => void);
      undo.push(() => stream.off(event, listener as (...args: unknown[]) => void));
    };

    const fail = (error: Error | undefined): void => {
      if (open < 0) return;
      if (error) result.error ??= error;
      reset(a);
      reset(b);
    };

    const closed = (): void => {
      if (--open > 0) return;
      open = -1;
      for (const off of undo) off();
      // Destroyed streams may still report an error late; without a listener that would end the process.
      a.on("error", ignore);
      b.on("error", ignore);
      resolve(result);
    };

    const oneWay = (from: Duplex, to: Duplex, count: (n: number) => void, passEnd: () => boolean): void => {
      on(from, "error", fail as (...args: never[]) => void);
      on(from, "data", ((chunk: Uint8Array) => {
        count(chunk.length);
        if (!to.destroyed && !to.writableEnded && !to.write(chunk)) from.pause();
      }) as (...args: never[]) => void);
      on(to, "drain", () => from.resume());
      on(from, "end", () => {
        if (passEnd()) to.end();
      });
      on(from, "close", () => {
        // Closed without an 'end': the other side must not wait for bytes that will never come.
        if (!from.readableEnded && !to.destroyed) fail(undefined);
        else if (!to.writableEnded && !to.destroyed) to.end();
        closed();
      });
    };

    if (a.destroyed || b.destroyed) {
      open = [a, b].filter((stream) => !stream.closed).length;
    }
    oneWay(a, b, (n) => (result.bytesAtoB += n), options.onEndOfA ?? (() => true));
    oneWay(
      b,
      a,
      (n) => (result.bytesBtoA += n),
      () => {
        if (!b.writableEnded && a.readableEnded) b.end();
        return true;
      },
    );
    if (options.signal) {
      const { signal } = options;
      const onAbort = (): void => fail(signal.reason instanceof Error ? signal.reason : new Error("aborted"));
      if (signal.aborted) onAbort();
      else {
        signal.addEventListener("abort", onAbort, { once: true });
        undo.push(() => signal.removeEventListener("abort", onAbort));
      }
    }
    if (a.destroyed || b.destroyed) {
      fail(undefined);
      if (open === 0) {
        open = 1;
        closed();
      }
    }
  });
}

function ignore(): void {}

/** RST where the stream is a TCP socket (or something that knows how), else destroy. */
function reset(stream: Duplex): void {
  if (stream.destroyed) return;
  const socket = stream as Duplex & { resetAndDestroy?: () => void };
  if (typeof socket.resetAndDestroy === "function") socket.resetAndDestroy();
  else stream.destroy();
}
