import type { Duplex } from "node:stream";

/** RST where the stream is a TCP socket (or knows how), else destroy. */
export function resetStream(stream: Duplex): void {
  if (stream.destroyed) return;
  const socket = stream as Duplex & { resetAndDestroy?: () => void };
  try {
    if (typeof socket.resetAndDestroy === "function") {
      // While the end is on its way the system refuses a reset, and Node then forgets the socket without closing it: it would live for ever.
      const ending = stream.writableEnded && !stream.writableFinished && stream.writableLength === 0;
      if (ending) stream.once("finish", () => resetStream(stream));
      else socket.resetAndDestroy();
      return;
    }
  } catch {
    // A socket of the file system knows no reset, and Node throws where one is asked for.
  }
  stream.destroy();
}
