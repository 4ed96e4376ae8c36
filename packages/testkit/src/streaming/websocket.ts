import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { ByteQueue } from "./byte-queue.ts";
import { type Carrier, lingerAndClose } from "./carrier.ts";

const CONTINUATION = 0;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const FIN = 0x80;

export interface WebSocketEvents {
  /** Part of a message, as it comes; `first` where it is the message's beginning. */
  data(part: Buffer, first: boolean): void;
  drain(): void;
  /** Called once. */
  close(): void;
}

/** The server's end of a WebSocket (RFC 6455). Messages pass through in parts and are never collected. */
export interface WebSocketConnection {
  /** One binary message. False: full, wait for `drain`. */
  send(...parts: Buffer[]): boolean;
  pause(): void;
  resume(): void;
  /** Close frame, then the end. */
  end(): void;
  destroy(): void;
  start(events: WebSocketEvents): void;
}

/** The first of the client's subprotocols that is one of `supported`. */
export function chooseProtocol(request: IncomingMessage, supported: readonly string[]): string | undefined {
  return offeredProtocols(request).find((protocol) => supported.includes(protocol));
}

export function offeredProtocols(request: IncomingMessage): string[] {
  const header = request.headers["sec-websocket-protocol"] ?? "";
  return header
    .split(",")
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== "");
}

/** Answers 101. The request must have a `sec-websocket-key`. */
export function acceptWebSocket(request: IncomingMessage, socket: Duplex, head: Buffer, protocol: string): WebSocketConnection {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
  );
  return new Connection(socket, head);
}

/** A SPDY connection's bytes as binary messages. Where one message ends and the next begins means nothing. */
export function webSocketCarrier(connection: WebSocketConnection): Carrier {
  return {
    send: (head, payload) => (payload ? connection.send(head, payload) : connection.send(head)),
    pause: () => connection.pause(),
    resume: () => connection.resume(),
    end: () => connection.end(),
    destroy: () => connection.destroy(),
    start: (events) => connection.start(events),
  };
}

class Connection implements WebSocketConnection {
  readonly #socket: Duplex;
  readonly #input = new ByteQueue();
  #events: WebSocketEvents | undefined;
  #paused = false;
  /** The frame being read: how long its head is, how much of its payload is still to come, and so on. */
  #needs = 2;
  #left = 0;
  #mask: Buffer = Buffer.alloc(4);
  #first = false;
  #control: { opcode: number; length: number } | undefined;

  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket;
    this.#input.push(head);
    socket.on("error", () => {});
    (socket as Partial<{ setNoDelay(on: boolean): void }>).setNoDelay?.(true);
  }

  start(events: WebSocketEvents): void {
    this.#events = events;
    const socket = this.#socket;
    socket.on("drain", () => this.#events?.drain());
    socket.on("end", () => {
      socket.end();
      this.#closed();
    });
    socket.on("close", () => this.#closed());
    this.#read();
    socket.on("data", (chunk: Buffer) => {
      this.#input.push(chunk);
      this.#read();
    });
    if (socket.destroyed) this.#closed();
  }

  send(...parts: Buffer[]): boolean {
    return this.#frame(BINARY, parts);
  }

  pause(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#read();
    if (!this.#paused) this.#socket.resume();
  }

  end(): void {
    // 1000, normal closure.
    this.#frame(CLOSE, [Buffer.from([0x03, 0xe8])]);
    lingerAndClose(this.#socket);
    this.#closed();
  }

  destroy(): void {
    this.#socket.destroy();
    this.#closed();
  }

  #closed(): void {
    const events = this.#events;
    this.#events = undefined;
    this.#input.clear();
    events?.close();
  }

  #frame(opcode: number, parts: readonly Buffer[]): boolean {
    const socket = this.#socket;
    if (socket.writableEnded || socket.destroyed) return true;
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const head = Buffer.allocUnsafe(length < 126 ? 2 : length < 65536 ? 4 : 10);
    head[0] = FIN | opcode;
    if (length < 126) head[1] = length;
    else if (length < 65536) {
      head[1] = 126;
      head.writeUInt16BE(length, 2);
    } else {
      head[1] = 127;
      head.writeBigUInt64BE(BigInt(length), 2);
    }
    socket.cork();
    let more = socket.write(head);
    for (const part of parts) more = socket.write(part);
    socket.uncork();
    return more;
  }

  #read(): void {
    while (this.#events && !this.#paused) {
      if (this.#control) {
        const body = this.#input.exactly(this.#control.length);
        if (!body) return;
        unmask(body, this.#mask);
        const { opcode } = this.#control;
        this.#control = undefined;
        if (opcode === PING) this.#frame(PONG, [body]);
        else if (opcode === CLOSE) this.end();
      } else if (this.#left > 0) {
        if (this.#input.length === 0) return;
        const part = this.#input.some(this.#left);
        this.#left -= part.length;
        unmask(part, this.#mask);
        this.#mask = rotated(this.#mask, part.length);
        const first = this.#first;
        this.#first = false;
        this.#events.data(part, first);
      } else if (!this.#head()) return;
    }
  }

  /** Reads a frame's head. False: more bytes are needed, or the client broke the protocol. */
  #head(): boolean {
    const start = this.#input.exactly(this.#needs);
    if (!start) return false;
    const masked = (start[1]! & 0x80) !== 0;
    const short = start[1]! & 0x7f;
    const extra = (short === 126 ? 2 : short === 127 ? 8 : 0) + (masked ? 4 : 0);
    if (start.length === 2 && extra > 0) {
      // Put back, and ask for all of it: a head is at most 14 bytes.
      this.#needs = 2 + extra;
      this.#input.unshift(start);
      return this.#head();
    }
    this.#needs = 2;
    const opcode = start[0]! & 0x0f;
    // RFC 6455, 5.1 and 5.5: a client masks, and a control frame is short.
    if (!masked || (opcode >= CLOSE && short > 125)) {
      this.destroy();
      return false;
    }
    const length = short === 126 ? start.readUInt16BE(2) : short === 127 ? Number(start.readBigUInt64BE(2)) : short;
    this.#mask = start.subarray(start.length - 4);
    if (opcode >= CLOSE) this.#control = { opcode, length };
    else {
      this.#left = length;
      // An empty first fragment leaves the beginning to the next one.
      if (opcode !== CONTINUATION) this.#first = true;
    }
    return true;
  }
}

/** In place: the bytes are ours. Four at a time where they lie right for it. */
function unmask(bytes: Buffer, mask: Buffer): void {
  let at = 0;
  while (at < bytes.length && (bytes.byteOffset + at) % 4 !== 0) bytes[at] = bytes[at]! ^ mask[at++ & 3]!;
  const words = (bytes.length - at) >> 2;
  if (words > 0) {
    const turned = Uint8Array.from(rotated(mask, at));
    const key = new Uint32Array(turned.buffer)[0]!;
    const view = new Uint32Array(bytes.buffer, bytes.byteOffset + at, words);
    for (let i = 0; i < words; i++) view[i] = view[i]! ^ key;
    at += words * 4;
  }
  for (; at < bytes.length; at++) bytes[at] = bytes[at]! ^ mask[at & 3]!;
}

function rotated(mask: Buffer, by: number): Buffer {
  const shift = by & 3;
  return shift === 0 ? mask : Buffer.concat([mask.subarray(shift), mask.subarray(0, shift)]);
}
