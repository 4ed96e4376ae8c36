import { Duplex } from "node:stream";
import { relayError } from "../errors.ts";
import { MAX_DATA_BYTES } from "./frames.ts";

/** What a stream may send, and must take, before its reader has read anything, in bytes: what one that nobody reads holds at most. */
export const FIRST_WINDOW = 128 * 1024;
/**
 * Where half a window is read within this time, in ms, it doubles: so it holds what is read in half a second at most, and a far end that is
 * half a second away still gets all of it.
 */
const QUICK_MS = 250;
/** How much a writer may hand over before it is asked to wait, in bytes. */
const WRITE_AHEAD = 128 * 1024;

/** What a stream asks of the session that it is on. */
export interface StreamLines {
  /** The far end has room for these bytes, at most `MAX_DATA_BYTES`. */
  data(bytes: Buffer): void;
  fin(): void;
  reset(): void;
  credit(bytes: number): void;
  /** The wire has taken so much already that others should have their turn first. */
  readonly full: boolean;
  /** Asks for {@link MuxStream.flush} when it is no longer. */
  waitForRoom(): void;
  /** Asks for a larger window; false where it isn't had. */
  grow(bytes: number): boolean;
  /** Gives back what `grow` was asked for. */
  shrink(bytes: number): void;
  /** Both ends have ended, or one has reset it: its number means nothing any more. */
  over(): void;
}

/**
 * One stream of a session, with TCP's endings: an end is a FIN, either way and by itself; destroying it before both sides have ended is a
 * reset. A reset of the far end, or the loss of the session, is an error with code `ECONNRESET`.
 *
 * The window begins small and doubles as long as it is read quickly, so that a stream that nobody reads holds little, and one that is
 * read has enough on the way.
 */
export class MuxStream extends Duplex {
  readonly #lines: StreamLines;
  readonly #widest: number;
  /** What the far end takes now. */
  #credit = FIRST_WINDOW;
  /** Given by the writer, and not yet sent. */
  #pending: Buffer[] = [];
  #written: ((error?: Error) => void) | undefined;
  #window = FIRST_WINDOW;
  /** What the far end may send now. */
  #allowed = FIRST_WINDOW;
  #creditedAt = 0;
  #finSent = false;
  #finReceived = false;
  #over = false;

  constructor(lines: StreamLines, widest: number) {
    super({ allowHalfOpen: true, writableHighWaterMark: WRITE_AHEAD });
    this.#lines = lines;
    this.#widest = widest;
  }

  // What the session tells. Each throws `RELAY_PROTOCOL` where the far end must not send that.

  received(bytes: Buffer): void {
    if (this.#finReceived) throw relayError("RELAY_PROTOCOL", "bytes came on a stream of the link's behind its end");
    this.#allowed -= bytes.length;
    if (this.#allowed < 0) throw relayError("RELAY_PROTOCOL", "more bytes came on a stream of the link's than it has room for");
    if (this.destroyed) return;
    // A small slice that waits would keep the whole buffer that it was cut from.
    const waits = this.readableLength > 0 || !this.readableFlowing;
    this.push(waits && bytes.length < bytes.buffer.byteLength / 2 ? Buffer.from(bytes) : bytes);
    this.#giveCredit();
  }

  ended(): void {
    if (this.#finReceived) throw relayError("RELAY_PROTOCOL", "a stream of the link's ended twice");
    this.#finReceived = true;
    if (this.#finSent) this.#conclude();
    if (!this.destroyed) this.push(null);
  }

  credited(bytes: number): void {
    this.#credit += bytes;
    if (this.#credit > Number.MAX_SAFE_INTEGER / 2) throw relayError("RELAY_PROTOCOL", "a stream was given endless credit");
    if (this.#pending.length > 0) this.flush();
  }

  /** Over without a reset of ours: the far end has reset or refused it, we have refused it, or the session is lost. */
  cut(error?: Error): void {
    this.#conclude();
    this.destroy(error);
  }

  /** Sends what waits, as far as the far end and the wire have room. */
  flush(): void {
    const pending = this.#pending;
    let sent = 0;
    while (sent < pending.length && this.#credit > 0 && !this.#lines.full) {
      const chunk = pending[sent]!;
      const take = Math.min(chunk.length, this.#credit, MAX_DATA_BYTES);
      this.#credit -= take;
      if (take > 0) this.#lines.data(take === chunk.length ? chunk : chunk.subarray(0, take));
      if (take === chunk.length) sent++;
      else pending[sent] = chunk.subarray(take);
    }
    if (sent === pending.length) {
      this.#pending = [];
      this.#settleWrite();
      return;
    }
    if (sent > 0) pending.splice(0, sent);
    if (this.#credit > 0) this.#lines.waitForRoom();
  }

  #giveCredit(): void {
    const read = this.#window - this.#allowed - this.readableLength;
    if (read < this.#window / 2 || this.#finReceived || this.#over) return;
    const now = performance.now();
    const quick = now - this.#creditedAt < QUICK_MS && this.#window < this.#widest;
    this.#creditedAt = now;
    const more = quick && this.#lines.grow(this.#window) ? this.#window : 0;
    this.#window += more;
    this.#allowed += read + more;
    this.#lines.credit(read + more);
  }

  #settleWrite(error?: Error): void {
    const written = this.#written;
    this.#written = undefined;
    written?.(error);
  }

  #conclude(): void {
    if (this.#over) return;
    this.#over = true;
    this.#lines.over();
  }

  // What the user of the stream does.

  // Not `_read`: that isn't called again before something has come, and nothing comes without credit.
  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    if (chunk) this.#giveCredit();
    return chunk;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#pending.push(chunk);
    this.#written = done;
    this.flush();
  }

  override _writev(items: Array<{ chunk: Buffer }>, done: (error?: Error) => void): void {
    for (const { chunk } of items) this.#pending.push(chunk);
    this.#written = done;
    this.flush();
  }

  override _final(done: () => void): void {
    this.#finSent = true;
    if (!this.#over) this.#lines.fin();
    if (this.#finReceived) this.#conclude();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#over) {
      this.#lines.reset();
      this.#conclude();
    }
    this.#lines.shrink(this.#window - FIRST_WINDOW);
    this.#pending = [];
    this.#settleWrite(error ?? undefined);
    done(error);
  }
}

export function connectionReset(cause?: unknown): Error {
  const error = Object.assign(new Error("the connection was reset by the other side"), { code: "ECONNRESET" });
  if (cause !== undefined) error.cause = cause;
  return error;
}
