import type { Duplex } from "node:stream";
import type { TappedConnection } from "./seams/interceptor.ts";

/** A {@link TappedConnection} with all of its words, which never throws. */
export type SafeTap = Required<TappedConnection>;

/**
 * Calls `begin` for who looks on, if anybody does. Who fails at it looks on no longer, which `failed` is told once; the connection goes on.
 */
export function safeTap(begin: () => TappedConnection | undefined, failed: (error: unknown) => void): SafeTap | undefined {
  let over = false;
  const safely = (look: () => void): void => {
    if (over) return;
    try {
      look();
    } catch (error) {
      over = true;
      failed(error);
    }
  };
  let tapped: TappedConnection | undefined;
  safely(() => {
    tapped = begin();
  });
  const on = tapped;
  return (
    on && {
      data: (direction, chunk) => safely(() => on.data?.(direction, chunk)),
      end: (direction) => safely(() => on.end?.(direction)),
      close: (error) => safely(() => on.close?.(error)),
    }
  );
}

/**
 * Has `tapped` look on at two streams that are about to be spliced: `caller` makes the requests. To be called in the same turn as `splice`,
 * so that neither has said a byte yet; beside it, further listeners get the same chunks and hold nothing up.
 */
export function lookOn(caller: Duplex, server: Duplex, tapped: SafeTap): void {
  let error: Error | undefined;
  for (const [stream, direction] of [[caller, "in"] as const, [server, "out"] as const]) {
    stream.on("data", (chunk: Uint8Array) => tapped.data(direction, chunk));
    stream.on("end", () => tapped.end(direction));
    stream.on("error", (cause: Error) => {
      error ??= cause;
    });
  }
  let open = 2;
  for (const stream of [caller, server]) {
    stream.once("close", () => {
      if (!stream.readableEnded || !stream.writableFinished) error ??= new Error("it was reset");
      if (--open === 0) tapped.close(error);
    });
  }
}
