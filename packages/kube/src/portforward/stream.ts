import { Duplex } from "node:stream";
import { hasCode } from "@shipside/core";
import { portForwardError } from "./errors.ts";
import { type ForwardTarget, failureOf } from "./failure.ts";

/** What carries one stream: a pair of SPDY streams, or a WebSocket of its own. */
export interface StreamWire {
  /** Takes the bytes at once; calls back when it would take more. */
  send(chunks: readonly Buffer[], taken: () => void): void;
  /** Tells the far side that we send no more. */
  finish(): void;
  /** Tells the far side that we neither send nor read any more. */
  cancel(): void;
  /** The reader has room again. */
  wanted(): void;
  /** The stream is over: nothing more will be asked of the wire. */
  release(): void;
}

export interface StreamEndings {
  /**
   * How long an end of our side is withheld, in ms without a byte either way, where an answer may still be due: what moved last went
   * to the pod, or nothing has come back yet. Default 30,000.
   */
  finReplyMs: number;
  /**
   * The same where the pod spoke last, so that most likely nothing more will come. The server goes on for a second after that, so an
   * answer may pause for 1.5 s with the default of 500.
   */
  finIdleMs: number;
  /** How long after the end of the data the reason is waited for, and the other way round, in ms. Default 1,000. */
  reasonMs: number;
}

export const DEFAULT_ENDINGS: StreamEndings = { finReplyMs: 30_000, finIdleMs: 500, reasonMs: 1_000 };

/** How much may wait in a stream before its reader is asked to catch up, in bytes. */
const READ_AHEAD = 64 * 1024;
/** How much a writer may hand over before it is asked to wait, in bytes. */
const WRITE_AHEAD = 64 * 1024;
const MAX_REASON_LENGTH = 8 * 1024;
/** A reader on its way to the end should not lose it to an EPIPE. */
const DROPPED_MS = 1_000;

/** How the dial stands: `accepted` once the server has taken the stream, `spoke` once the pod has sent a byte or ended. */
export type DialState = "asked" | "accepted" | "spoke" | "failed";

/**
 * One connection to a port of a pod, as the `Dialer` of @shipside/core describes it. What the path can't say, it makes up for:
 * - The server closes the pod's connection about a second after we end our side, whatever is still to come. So the end is withheld
 *   until the pod has ended or nothing has moved for a while (see {@link StreamEndings}). `destroy()` doesn't wait.
 * - A reset by the pod comes as an end of the data and then a message; it becomes an ECONNRESET after what was received is read.
 * - Once the pod has closed, what is still written is dropped while there is something to read and for a second, then answered
 *   with EPIPE.
 */
export class ForwardStream extends Duplex {
  readonly #wire: StreamWire;
  readonly #target: ForwardTarget;
  readonly #endings: StreamEndings;
  #state: DialState = "asked";
  #stateListener: (() => void) | undefined;
  #bytesIn = 0;
  #bytesOut = 0;
  #podSpokeLast = false;
  #firstSentAt = 0;
  #taken = false;
  #movedAt = 0;
  #dataEnded = false;
  #reasonEnded = false;
  #reason = "";
  #reasonTimer: NodeJS.Timeout | undefined;
  #finTimer: NodeJS.Timeout | undefined;
  #finished = false;
  /** Nothing more will come from the far side, and it takes nothing more. */
  #over = false;
  #overAt = 0;
  #failure: Error | undefined;

  constructor(wire: StreamWire, target: ForwardTarget, endings: StreamEndings) {
    super({ allowHalfOpen: true, readableHighWaterMark: READ_AHEAD, writableHighWaterMark: WRITE_AHEAD });
    this.#wire = wire;
    this.#target = target;
    this.#endings = endings;
  }

  get dialState(): DialState {
    return this.#state;
  }

  /** Bytes from the pod, and to it. */
  get bytesIn(): number {
    return this.#bytesIn;
  }
  get bytesOut(): number {
    return this.#bytesOut;
  }

  /** What the stream failed with, set before it is told by `error`. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  /** Bytes went to the pod after its last word: it may never have read them. */
  get maybeUnread(): boolean {
    return this.#bytesOut > 0 && !this.#podSpokeLast;
  }

  /** `performance.now()` of the first byte sent, where nothing shows yet that the dial went well; else undefined. */
  get unprovenSince(): number | undefined {
    return this.#bytesOut > 0 && this.#bytesIn === 0 && !this.#taken && !this.#over ? this.#firstSentAt : undefined;
  }

  /** Called at each change of `dialState`. One listener at a time. */
  onDialState(listener: (() => void) | undefined): void {
    this.#stateListener = listener;
  }

  // What the wire tells.

  accepted(): void {
    if (this.#state === "asked") this.#setState("accepted");
  }

  /** What was sent has left the server's queue, which happens after its dial only. */
  taken(): void {
    this.#taken = true;
  }

  /** False where the reader is behind. */
  received(chunk: Buffer): boolean {
    if (this.destroyed || this.#dataEnded || this.#over) return true;
    this.#bytesIn += chunk.length;
    this.#podSpokeLast = true;
    if (this.#finTimer) this.#movedAt = performance.now();
    if (this.#state !== "spoke") this.#setState("spoke");
    // A small slice that waits would keep the whole buffer it was cut from.
    const waits = this.readableLength > 0 || !this.readableFlowing;
    return this.push(waits && chunk.length < chunk.buffer.byteLength / 2 ? Buffer.from(chunk) : chunk);
  }

  dataEnded(): void {
    if (this.#dataEnded || this.#over) return;
    this.#dataEnded = true;
    this.#weigh();
  }

  receivedReason(chunk: Buffer): void {
    if (this.#reason.length < MAX_REASON_LENGTH) this.#reason += chunk.toString("utf8").slice(0, MAX_REASON_LENGTH);
  }

  reasonEnded(): void {
    if (this.#reasonEnded || this.#over) return;
    this.#reasonEnded = true;
    this.#weigh();
  }

  /** The far side has reset the stream. */
  wasReset(): void {
    this.#conclude(
      this.#reason === "" && this.#state !== "asked"
        ? portForwardError("ECONNRESET", `the connection to ${this.#target.label} was reset`)
        : failureOf(this.#reason, this.#target, this.#bytesIn > 0),
    );
  }

  /** What carried the stream is gone. */
  lost(cause: Error): void {
    if (this.#over) return;
    if (this.#dataEnded && this.#reason === "") {
      this.#conclude(undefined);
      return;
    }
    if (hasCode(cause, "DIAL_GONE") && this.#bytesIn === 0 && !this.#taken) {
      this.#conclude(
        portForwardError("DIAL_GONE", `${this.#target.label}: the pod ended before it took the connection`, { cause }),
      );
      return;
    }
    const nothingSent = this.#state === "asked" && this.#bytesOut === 0;
    this.#conclude(
      nothingSent
        ? portForwardError("DIAL_FAILED", `the connection to ${this.#target.label} was lost before it stood`, { cause })
        : portForwardError("ECONNRESET", `the connection to ${this.#target.label} was lost`, { cause }),
    );
  }

  #setState(state: DialState): void {
    this.#state = state;
    this.#stateListener?.();
  }

  /** The data's end and the reason come on two streams, in either order; what they mean shows when both are there. */
  #weigh(): void {
    const refused = this.#reasonEnded && this.#reason !== "" && this.#bytesIn === 0;
    if (refused || (this.#dataEnded && this.#reasonEnded)) this.#concludeByReason();
    else this.#reasonTimer ??= setTimeout(() => this.#concludeByReason(), this.#endings.reasonMs);
  }

  #concludeByReason(): void {
    this.#conclude(this.#reason === "" ? undefined : failureOf(this.#reason, this.#target, this.#bytesIn > 0));
  }

  #conclude(failure: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#overAt = performance.now();
    clearTimeout(this.#reasonTimer);
    clearTimeout(this.#finTimer);
    this.#finish();
    this.#wire.release();
    if (this.destroyed) return;
    if (failure) {
      this.#failure = failure;
      this.#failWhenRead();
      this.#setState("failed");
    } else {
      this.push(null);
      this.#setState("spoke");
    }
  }

  /** What came before a reset is read before it is told, as a TCP socket does it. */
  #failWhenRead(): void {
    if (this.#failure && this.readableLength === 0 && !this.destroyed) this.destroy(this.#failure);
  }

  #finish(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#wire.finish();
  }

  // What the user of the stream does.

  override read(size?: number): Buffer | null {
    const chunk = super.read(size) as Buffer | null;
    if (this.#failure) process.nextTick(() => this.#failWhenRead());
    return chunk;
  }

  override _read(): void {
    if (!this.#over) this.#wire.wanted();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error) => void): void {
    this.#send([chunk], callback);
  }

  override _writev(items: Array<{ chunk: Buffer }>, callback: (error?: Error) => void): void {
    this.#send(
      items.map((item) => item.chunk),
      callback,
    );
  }

  #send(chunks: readonly Buffer[], callback: (error?: Error) => void): void {
    if (this.#over || this.#dataEnded) {
      const late = this.readableEnded && performance.now() - this.#overAt > DROPPED_MS;
      callback(late ? portForwardError("EPIPE", `${this.#target.label} has closed the connection`) : undefined);
      return;
    }
    if (this.#bytesOut === 0) this.#firstSentAt = performance.now();
    for (const chunk of chunks) this.#bytesOut += chunk.length;
    this.#podSpokeLast = false;
    this.#wire.send(chunks, callback);
  }

  override _final(callback: () => void): void {
    callback();
    if (this.#over) return;
    this.#movedAt = performance.now();
    const check = (): void => {
      const bound = this.#podSpokeLast ? this.#endings.finIdleMs : this.#endings.finReplyMs;
      const left = this.#movedAt + bound - performance.now();
      if (left > 0) this.#finTimer = setTimeout(check, left);
      else this.#finish();
    };
    check();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    clearTimeout(this.#reasonTimer);
    clearTimeout(this.#finTimer);
    if (!this.#over) {
      this.#over = true;
      this.#finished = true;
      this.#wire.cancel();
      this.#wire.release();
      if (this.#state !== "failed") this.#setState("failed");
    }
    callback(error);
  }
}
