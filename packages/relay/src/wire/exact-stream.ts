import { constants, type Http2Stream } from "node:http2";
import { Duplex } from "node:stream";

const { NGHTTP2_CONNECT_ERROR } = constants;

/** What may wait in the session to be sent, in bytes, before a writer does: with less it would wait for a turn of the event loop each time. */
const SEND_AHEAD = 256 * 1024;

/**
 * A CONNECT stream as a duplex with TCP's endings: END_STREAM is a FIN, either way and by itself; RST_STREAM is a reset (RFC 9113, 8.5).
 * `resetAndDestroy` resets, and so does destroying it before both sides have ended. A reset of the far end, or the loss of the session,
 * is an error with code `ECONNRESET`.
 */
export function exactStream(stream: Http2Stream): Duplex & { resetAndDestroy(): void } {
  return new ExactStream(stream);
}

class ExactStream extends Duplex {
  readonly #stream: Http2Stream;
  #unsent = 0;
  #written: ((error?: Error) => void) | undefined;
  #finished: (() => void) | undefined;

  constructor(stream: Http2Stream) {
    super({ allowHalfOpen: true, readableHighWaterMark: 65_536, writableHighWaterMark: 65_536 });
    this.#stream = stream;
    // Kept for good: a stream that was destroyed may report late.
    stream.on("error", (error) => this.destroy(connectionReset(error)));
    stream.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) stream.pause();
    });
    stream.on("end", () => this.push(null));
    stream.on("close", () => {
      if (this.destroyed) return;
      if (stream.readableEnded && stream.writableFinished && stream.rstCode === 0) {
        this.#finished?.();
        return;
      }
      this.destroy(connectionReset());
    });
    stream.pause();
  }

  #settleWrite(error?: Error): void {
    const written = this.#written;
    this.#written = undefined;
    written?.(error);
  }

  override _read(): void {
    this.#stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const stream = this.#stream;
    if (stream.destroyed) return void done();
    this.#unsent += chunk.length;
    this.#written = done;
    stream.write(chunk, () => {
      this.#unsent -= chunk.length;
      if (this.#unsent <= SEND_AHEAD / 2) this.#settleWrite();
    });
    if (this.#unsent < SEND_AHEAD) this.#settleWrite();
  }

  override _final(done: () => void): void {
    this.#finished = done;
    this.#stream.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const stream = this.#stream;
    if (!stream.destroyed && !(stream.readableEnded && stream.writableFinished)) {
      // To close it also ends it, and where its end is sent before the reset, the far side takes that for a FIN. So the end is kept from
      // it, and a write of this tick, which looks whether it was the last one, is let pass.
      stream._final = (finished) => finished();
      setImmediate(() => stream.destroyed || stream.close(NGHTTP2_CONNECT_ERROR));
    }
    // A stream that is paused with bytes in it would wait for a reader before it closes.
    stream.resume();
    this.#settleWrite(error ?? undefined);
    done(error);
  }

  resetAndDestroy(): void {
    this.destroy();
  }
}

function connectionReset(cause?: unknown): Error {
  const error = Object.assign(new Error("the connection was reset by the other side"), { code: "ECONNRESET" });
  if (cause !== undefined) error.cause = cause;
  return error;
}
