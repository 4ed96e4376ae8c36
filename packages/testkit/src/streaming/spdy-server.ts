import { ByteQueue } from "./byte-queue.ts";
import type { Carrier } from "./carrier.ts";
import type { Channel, Consumer } from "./channel.ts";
import { createHeaderCodec, type Headers } from "./spdy-headers.ts";

const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;
const FIN = 1;
const PROTOCOL_ERROR = 1;
const CANCEL = 5;
/** A frame's length has 24 bits. */
const MAX_FRAME = 0xffffff;
/** What a stream takes before it has a consumer, in bytes: others may have to be opened first. */
const MAX_EARLY = 64 * 1024;
const NOTHING = Buffer.alloc(0);

export interface SpdyServerEvents {
  /** A stream that the client opens: returns who is to have it once the reply has been sent, or undefined to reset it. */
  stream(headers: Headers, id: number): ((channel: Channel) => void) | undefined;
  /** Called once, after every stream has been told its end. */
  close(): void;
}

export interface SpdyServer {
  /** GOAWAY, then the end of the connection. */
  end(): void;
}

/**
 * The server's half of a SPDY/3.1 connection, as the library behaves that Kubernetes uses: no flow control (WINDOW_UPDATE and
 * SETTINGS are read and ignored), frames handled strictly in order, and nothing read while a stream's consumer is stalled.
 */
export function createSpdyServer(carrier: Carrier, events: SpdyServerEvents): SpdyServer {
  const session = new SpdySession(carrier, events);
  carrier.start({ data: (chunk) => session.data(chunk), drain: () => session.drain(), close: () => session.closed() });
  return session;
}

class SpdySession implements SpdyServer {
  readonly #carrier: Carrier;
  readonly #events: SpdyServerEvents;
  readonly #codec = createHeaderCodec();
  readonly #streams = new Map<number, SpdyStream>();
  readonly #input = new ByteQueue();
  #lastId = 0;
  /** The DATA frame being read: how much of it is still to come, and whose it is. */
  #left = 0;
  #fin = false;
  #target: SpdyStream | undefined;
  /** Consumers that are stalled. Nothing is read while there is one. */
  #holds = 0;
  #reading = false;
  #goingAway = false;
  #open = true;
  #waiting: Array<() => void> = [];
  #head: Buffer | undefined;

  constructor(carrier: Carrier, events: SpdyServerEvents) {
    this.#carrier = carrier;
    this.#events = events;
  }

  get open(): boolean {
    return this.#open;
  }

  data(chunk: Buffer): void {
    this.#input.push(chunk);
    this.#read();
  }

  drain(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#input.clear();
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.lost();
    this.drain();
    this.#events.close();
  }

  end(): void {
    if (!this.#open) return;
    this.#control(GOAWAY, 0, [this.#lastId, 0]);
    this.#carrier.end();
  }

  onDrain(resume: () => void): void {
    this.#waiting.push(resume);
  }

  send(id: number, chunk: Buffer, fin: boolean): boolean {
    let more = true;
    for (let at = 0; ; at += MAX_FRAME) {
      const part = chunk.length > MAX_FRAME ? chunk.subarray(at, at + MAX_FRAME) : chunk;
      const last = at + MAX_FRAME >= chunk.length;
      const head = Buffer.allocUnsafe(8);
      head.writeUInt32BE(id, 0);
      head.writeUInt32BE(part.length, 4);
      if (fin && last) head[4] = FIN;
      more = part.length > 0 ? this.#carrier.send(head, part) : this.#carrier.send(head);
      if (last) return more;
    }
  }

  /** Both halves are closed. */
  forget(id: number): void {
    this.#streams.delete(id);
    if (this.#goingAway && this.#streams.size === 0) this.#carrier.end();
  }

  /** Gives a consumer a chunk, and holds the connection up until it's ready for more. */
  give(consumer: Consumer, chunk: Buffer): void {
    const release = this.hold();
    if (consumer.data(chunk, release)) release();
    else if (this.#holds > 0) this.#carrier.pause();
  }

  /** Nothing is read until the returned function is called. */
  hold(): () => void {
    let held = true;
    this.#holds++;
    return () => {
      if (!held) return;
      held = false;
      if (--this.#holds > 0 || this.#reading) return;
      this.#ended(this.#target);
      this.#read();
      if (this.#holds === 0) this.#carrier.resume();
    };
  }

  #read(): void {
    this.#reading = true;
    while (this.#holds === 0 && this.#open && this.#input.length > 0) {
      if (this.#left > 0) {
        const part = this.#input.some(this.#left);
        this.#left -= part.length;
        this.#target?.data(part);
        if (this.#holds === 0) this.#ended(this.#target);
      } else if (!this.#frame()) break;
    }
    this.#reading = false;
    if (this.#holds > 0) this.#carrier.pause();
  }

  /** Passes on the FIN of the DATA frame just read, once its last byte has been taken. */
  #ended(stream: SpdyStream | undefined): void {
    if (this.#left > 0 || !this.#fin) return;
    this.#fin = false;
    stream?.remoteEnd();
  }

  /** Reads one frame's head, and all of it where it is a control frame. False: more bytes are needed. */
  #frame(): boolean {
    const head = (this.#head ??= this.#input.exactly(8));
    if (!head) return false;
    const length = head.readUInt32BE(4) & MAX_FRAME;
    const flags = head[4]!;
    if ((head[0]! & 0x80) === 0) {
      this.#head = undefined;
      this.#target = this.#streams.get(head.readUInt32BE(0) & 0x7fffffff);
      this.#left = length;
      this.#fin = (flags & FIN) !== 0;
      if (length === 0) this.#ended(this.#target);
      return true;
    }
    const body = this.#input.exactly(length);
    if (!body) return false;
    this.#head = undefined;
    try {
      this.#handle(head.readUInt16BE(2), flags, body);
    } catch {
      // What can't be read is not answered: the real server drops the connection too.
      this.#carrier.destroy();
    }
    return true;
  }

  #handle(type: number, flags: number, body: Buffer): void {
    if (type === SYN_STREAM) this.#opened(body, (flags & FIN) !== 0);
    else if (type === RST_STREAM) this.#streams.get(body.readUInt32BE(0) & 0x7fffffff)?.lost();
    else if (type === PING) {
      // An odd number is a client's question, an even one would be the answer to ours.
      if (body.readUInt32BE(0) % 2 === 1) this.#control(PING, 0, [body.readUInt32BE(0)]);
    } else if (type === GOAWAY) {
      this.#goingAway = true;
      if (this.#streams.size === 0) this.#carrier.end();
    } else if (type === HEADERS) {
      // Read to keep the inflating state right; nothing is sent this way.
      this.#codec.decode(body.subarray(4));
      if (flags & FIN) this.#streams.get(body.readUInt32BE(0) & 0x7fffffff)?.remoteEnd();
    }
  }

  #opened(body: Buffer, fin: boolean): void {
    const id = body.readUInt32BE(0) & 0x7fffffff;
    const headers = this.#codec.decode(body.subarray(10));
    if (this.#goingAway) return;
    const inOrder = id % 2 === 1 && id > this.#lastId;
    const accept = inOrder ? this.#events.stream(headers, id) : undefined;
    if (inOrder) this.#lastId = id;
    if (!accept) {
      this.#control(RST_STREAM, 0, [id, inOrder ? CANCEL : PROTOCOL_ERROR]);
      return;
    }
    const stream = new SpdyStream(id, this);
    this.#streams.set(id, stream);
    this.#control(SYN_REPLY, 0, [id], this.#codec.encode([]));
    accept(stream);
    if (fin) stream.remoteEnd();
  }

  #control(type: number, flags: number, words: number[], rest: Buffer = NOTHING): void {
    const frame = Buffer.allocUnsafe(8 + 4 * words.length + rest.length);
    frame.writeUInt16BE(0x8003, 0);
    frame.writeUInt16BE(type, 2);
    frame.writeUInt32BE(frame.length - 8, 4);
    frame[4] = flags;
    words.forEach((word, at) => {
      frame.writeUInt32BE(word, 8 + 4 * at);
    });
    rest.copy(frame, 8 + 4 * words.length);
    this.#carrier.send(frame);
  }
}

class SpdyStream implements Channel {
  readonly #id: number;
  readonly #session: SpdySession;
  #consumer: Consumer | undefined;
  #early: Buffer[] = [];
  #release: (() => void) | undefined;
  #localOpen = true;
  #remoteOpen = true;

  constructor(id: number, session: SpdySession) {
    this.#id = id;
    this.#session = session;
  }

  get writable(): boolean {
    return this.#localOpen && this.#session.open;
  }

  write(chunk: Buffer): boolean {
    return !this.writable || chunk.length === 0 || this.#session.send(this.#id, chunk, false);
  }

  onDrain(resume: () => void): void {
    this.#session.onDrain(resume);
  }

  end(): void {
    if (!this.writable) return;
    this.#localOpen = false;
    this.#session.send(this.#id, NOTHING, true);
    if (!this.#remoteOpen) this.#session.forget(this.#id);
  }

  receive(consumer: Consumer): void {
    this.#consumer = consumer;
    const early = Buffer.concat(this.#early);
    this.#early = [];
    if (early.length > 0) this.#session.give(consumer, early);
    this.#release?.();
    if (!this.#remoteOpen) consumer.end();
  }

  data(chunk: Buffer): void {
    if (!this.#remoteOpen) return;
    if (this.#consumer) {
      this.#session.give(this.#consumer, chunk);
      return;
    }
    this.#early.push(chunk);
    const held = this.#early.reduce((sum, { length }) => sum + length, 0);
    if (held > MAX_EARLY) this.#release ??= this.#session.hold();
  }

  remoteEnd(): void {
    if (!this.#remoteOpen) return;
    this.#remoteOpen = false;
    this.#consumer?.end();
    if (!this.#localOpen) this.#session.forget(this.#id);
  }

  /** Reset by the client, or the connection is gone. */
  lost(): void {
    this.#localOpen = false;
    this.remoteEnd();
    this.#release?.();
  }
}
