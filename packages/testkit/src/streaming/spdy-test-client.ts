import { connect, type Socket } from "node:net";
import { Duplex, type Writable } from "node:stream";
import { createDeflate, createInflate, constants as zlib } from "node:zlib";
import * as ws from "ws";
import { SPDY_DICTIONARY } from "./spdy-headers.ts";

export interface Frame {
  /** "data", or the number of a control frame's type. */
  type: "data" | number;
  id: number;
  flags: number;
  body: Buffer;
}

/** A SPDY client that is as plain as can be, for tests: it sees every frame, and codes headers with zlib's own continuing streams. */
export interface SpdyTestClient {
  readonly carrier: Duplex;
  readonly frames: Frame[];
  /** Resolves to the first frame, past or to come, that fits. */
  until(fits: (frame: Frame) => boolean): Promise<Frame>;
  open(id: number, headers: Record<string, string>, options?: { stored?: boolean }): Promise<void>;
  data(id: number, body: Buffer | string, fin?: boolean): void;
  reset(id: number): void;
  ping(id: number): void;
  /** All data of a stream so far. */
  received(id: number): Buffer;
  /** Waits for the FIN of a stream, and gives its data. */
  ended(id: number): Promise<Buffer>;
  /** A header block as the server packed it, unpacked. */
  unpack(block: Buffer): Promise<Buffer>;
  close(): void;
}

/** An HTTP/1.1 upgrade by hand. */
export function upgrade(port: number, path: string, headers: Record<string, string>): Promise<{ status: string; socket: Socket }> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", reject);
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${lines.join("")}\r\n`);
    let text = Buffer.alloc(0);
    const read = (chunk: Buffer): void => {
      text = Buffer.concat([text, chunk]);
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) return;
      socket.off("data", read);
      socket.pause();
      if (text.length > end + 4) socket.unshift(text.subarray(end + 4));
      resolve({ status: text.toString("latin1", 0, end), socket });
    };
    socket.on("data", read);
  });
}

export async function spdyOver(carrier: Duplex): Promise<SpdyTestClient> {
  const frames: Frame[] = [];
  const waiting = new Set<() => void>();
  const deflate = createDeflate({ dictionary: SPDY_DICTIONARY });
  const inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  let storedBefore = false;
  let input = Buffer.alloc(0);
  carrier.on("error", () => {});
  carrier.on("data", (chunk: Buffer) => {
    input = Buffer.concat([input, chunk]);
    while (input.length >= 8) {
      const length = input.readUInt32BE(4) & 0xffffff;
      if (input.length < 8 + length) break;
      const control = (input[0]! & 0x80) !== 0;
      const body = input.subarray(8, 8 + length);
      const id = control ? (body.length >= 4 ? body.readUInt32BE(0) & 0x7fffffff : 0) : input.readUInt32BE(0);
      frames.push({ type: control ? input.readUInt16BE(2) : "data", id, flags: input[4]!, body });
      input = input.subarray(8 + length);
    }
    for (const check of waiting) check();
  });
  carrier.resume();

  const flushed = (stream: typeof deflate | typeof inflate, block: Buffer): Promise<Buffer> =>
    new Promise((resolve) => {
      const parts: Buffer[] = [];
      const take = (part: Buffer): void => void parts.push(part);
      stream.on("data", take);
      stream.write(block, () =>
        stream.flush(zlib.Z_SYNC_FLUSH, () => {
          stream.off("data", take);
          resolve(Buffer.concat(parts));
        }),
      );
    });

  const control = (type: number, body: Buffer, flags = 0): void => {
    const head = Buffer.alloc(8);
    head.writeUInt16BE(0x8003, 0);
    head.writeUInt16BE(type, 2);
    head.writeUInt32BE(body.length, 4);
    head[4] = flags;
    carrier.write(Buffer.concat([head, body]));
  };
  const words = (...values: number[]): Buffer => {
    const out = Buffer.alloc(4 * values.length);
    values.forEach((value, at) => {
      out.writeUInt32BE(value, 4 * at);
    });
    return out;
  };
  /** As a client may that doesn't compress: one stored block, one empty stored block. */
  const stored = (plain: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.writeUInt16LE(plain.length, 1);
    head.writeUInt16LE(plain.length ^ 0xffff, 3);
    const start = storedBefore ? Buffer.alloc(0) : Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2]);
    storedBefore = true;
    return Buffer.concat([start, head, plain, Buffer.from([0, 0, 0, 0xff, 0xff])]);
  };

  const client: SpdyTestClient = {
    carrier,
    frames,
    until: (fits) =>
      new Promise((resolve) => {
        const check = (): void => {
          const found = frames.find(fits);
          if (!found) return;
          waiting.delete(check);
          resolve(found);
        };
        waiting.add(check);
        check();
      }),
    async open(id, headers, options = {}) {
      const text = (value: string): Buffer[] => [words(Buffer.byteLength(value)), Buffer.from(value)];
      const entries = Object.entries(headers);
      const plain = Buffer.concat([words(entries.length), ...entries.flatMap(([name, value]) => [...text(name), ...text(value)])]);
      const block = options.stored ? stored(plain) : await flushed(deflate, plain);
      control(1, Buffer.concat([words(id, 0), Buffer.alloc(2), block]));
    },
    data(id, body, fin = false) {
      const bytes = Buffer.from(body);
      const head = words(id, bytes.length);
      if (fin) head[4] = 1;
      carrier.write(Buffer.concat([head, bytes]));
    },
    reset: (id) => control(3, words(id, 5)),
    ping: (id) => control(6, words(id)),
    received: (id) => Buffer.concat(frames.filter((frame) => frame.type === "data" && frame.id === id).map((frame) => frame.body)),
    async ended(id) {
      await client.until((frame) => frame.type === "data" && frame.id === id && (frame.flags & 1) === 1);
      return client.received(id);
    },
    unpack: (block) => flushed(inflate, block),
    close: () => carrier.destroy(),
  };
  return client;
}

/** What `ws` exports of its framing, and its types don't tell. */
const { Sender, Receiver } = ws as unknown as {
  Sender: new (
    socket: Socket,
  ) => {
    send(
      data: Buffer,
      options: { binary: true; fin: true; mask: true; compress: false },
      done: (error?: Error | null) => void,
    ): void;
    ping(data: Buffer, mask: true, done: () => void): void;
  };
  Receiver: new (options: { isServer: false }) => Writable;
};

/**
 * A client's end of a WebSocket over a socket that has been upgraded. The `ws` package's own client refuses the subprotocol
 * `SPDY/3.1+portforward.k8s.io`, for its slash.
 */
export function webSocketOver(socket: Socket): Duplex & { ping(): void; pongs: number } {
  const sender = new Sender(socket);
  const receiver = new Receiver({ isServer: false });
  const duplex = Object.assign(
    new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) =>
        sender.send(Buffer.from(chunk), { binary: true, fin: true, mask: true, compress: false }, done),
    }),
    { pongs: 0, ping: () => sender.ping(Buffer.from("x"), true, () => {}) },
  );
  receiver.on("message", (message: Buffer) => duplex.push(message));
  receiver.on("pong", () => duplex.pongs++);
  receiver.on("conclude", () => duplex.push(null));
  socket.on("data", (chunk) => receiver.write(chunk));
  socket.on("close", () => duplex.destroy());
  socket.resume();
  return duplex;
}
