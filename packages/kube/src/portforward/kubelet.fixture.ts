import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { constants, createInflate, type Inflate } from "node:zlib";
import { SPDY_DICTIONARY } from "./dictionary.fixture.ts";

/**
 * What the far end of a port-forward does, written from the SPDY draft and from what a kubelet 1.36 with containerd 2.1 was seen to
 * do, and with nothing of the code under test. It inflates every header block with zlib and the dictionary, so a client whose
 * blocks are wrong gets nowhere.
 */
export interface FakeKubelet extends AsyncDisposable {
  /** Host and port to give to `upgradeTo`. */
  readonly port: number;
  /** Upgraded connections that are open. */
  readonly connections: readonly FakeConnection[];
  /** Upgrades asked for since the start. */
  readonly upgrades: number;
}

export interface FakeConnection {
  readonly socket: Duplex;
  /** Headers of each SYN_STREAM, as they came. */
  readonly opened: Array<{ id: number; fin: boolean; headers: Record<string, string> }>;
  readonly resets: number[];
  write(frame: Buffer): void;
}

export interface FakeKubeletOptions {
  /**
   * Which local port serves `port` of `pod`, as seen through the n-th upgrade (from 1); or the pod's network is gone, where the dial
   * hangs. Default: the same number.
   */
  podPort?: (pod: string, port: number, upgrade: number) => number | "gone" | "hangs";
  /** How long the other direction goes on after one has ended. The real one: 1,000 ms. */
  graceMs?: number;
  /** Decides the answer to an upgrade: 101, or an HTTP status to refuse with, or "hang". */
  answer?: (request: IncomingMessage) => 101 | number | "hang" | Promise<101 | number | "hang">;
  /** Takes a connection over instead of the default behaviour. */
  script?: (connection: FakeConnection, request: IncomingMessage) => void;
  /** Answers pings. Default true. */
  pong?: () => boolean;
  /** Puts the bytes into some other envelope (a WebSocket). */
  wrap?: (request: IncomingMessage, socket: Duplex) => Duplex;
  protocolHeaders?: (request: IncomingMessage) => Record<string, string>;
}

export interface Frame {
  control: boolean;
  type: number;
  id: number;
  flags: number;
  payload: Buffer;
}

/** Cuts whole frames out of a stream of bytes. */
export function frameReader(take: (frame: Frame) => void): (chunk: Buffer) => void {
  let held: Buffer = Buffer.alloc(0);
  return (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    while (held.length >= 8) {
      const length = held.readUIntBE(5, 3);
      if (held.length < 8 + length) return;
      const control = (held[0] as number) >= 0x80;
      take({
        control,
        type: control ? held.readUInt16BE(2) : -1,
        id: control ? -1 : held.readUInt32BE(0),
        flags: held[4] as number,
        payload: held.subarray(8, 8 + length),
      });
      held = held.subarray(8 + length);
    }
  };
}

/** Inflates the header blocks of one connection, in order, and insists that each block ends where its frame ends. */
export function headerInflater(): (block: Buffer) => Promise<Record<string, string>> {
  const inflate: Inflate = createInflate({
    dictionary: SPDY_DICTIONARY,
    flush: constants.Z_SYNC_FLUSH,
    finishFlush: constants.Z_SYNC_FLUSH,
  });
  let got: Buffer[] = [];
  inflate.on("data", (chunk: Buffer) => got.push(chunk));
  let turn: Promise<unknown> = Promise.resolve();
  const one = (block: Buffer): Promise<Record<string, string>> =>
    new Promise((resolve, reject) => {
      inflate.once("error", reject);
      inflate.write(block, () => {
        inflate.off("error", reject);
        const plain = Buffer.concat(got);
        got = [];
        resolve(parseHeaders(plain));
      });
    });
  return (block) => {
    const result = turn.then(() => one(block));
    turn = result.catch(() => {});
    return result;
  };
}

function parseHeaders(plain: Buffer): Record<string, string> {
  const headers: Record<string, string> = {};
  let at = 4;
  const text = (): string => {
    const length = plain.readUInt32BE(at);
    at += 4 + length;
    return plain.toString("utf8", at - length, at);
  };
  for (let count = plain.readUInt32BE(0); count > 0; count--) {
    const name = text();
    headers[name] = text();
  }
  if (at !== plain.length) throw new Error(`a header block of ${plain.length} bytes ends at ${at}`);
  return headers;
}

export const frame = {
  control(type: number, flags: number, payload: Buffer): Buffer {
    const head = Buffer.from([0x80, 0x03, type >> 8, type & 0xff, flags, 0, 0, 0]);
    head.writeUIntBE(payload.length, 5, 3);
    return Buffer.concat([head, payload]);
  },
  data(id: number, payload: Buffer | string, fin = false): Buffer {
    const bytes = Buffer.from(payload);
    const head = Buffer.alloc(8);
    head.writeUInt32BE(id, 0);
    head.writeUIntBE(bytes.length, 5, 3);
    head[4] = fin ? 1 : 0;
    return Buffer.concat([head, bytes]);
  },
  reply: (id: number): Buffer => frame.control(2, 0, Buffer.concat([words(id), Buffer.from("nobody inflates this")])),
  reset: (id: number): Buffer => frame.control(3, 0, words(id, 5)),
  ping: (id: number): Buffer => frame.control(6, 0, words(id)),
  goAway: (): Buffer => frame.control(7, 0, words(0, 0)),
};

const words = (...numbers: number[]): Buffer => {
  const buffer = Buffer.alloc(numbers.length * 4);
  numbers.forEach((number, index) => void buffer.writeUInt32BE(number, index * 4));
  return buffer;
};

export async function startFakeKubelet(options: FakeKubeletOptions = {}): Promise<FakeKubelet> {
  const graceMs = options.graceMs ?? 200;
  const connections: FakeConnection[] = [];
  const sockets = new Set<Duplex>();
  let upgrades = 0;

  const server: Server = createServer((_request, response) => response.writeHead(400).end("upgrade request required"));
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("upgrade", async (request, rawSocket: Socket, head) => {
    upgrades++;
    rawSocket.on("error", () => {});
    const answer = (await options.answer?.(request)) ?? 101;
    if (answer === "hang") return;
    if (answer !== 101) {
      rawSocket.end(`HTTP/1.1 ${answer} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    const extra = options.protocolHeaders?.(request) ?? { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io" };
    const lines = Object.entries(extra).map(([name, value]) => `${name}: ${value}\r\n`);
    rawSocket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n${lines.join("")}\r\n`);
    if (head.length > 0) rawSocket.unshift(head);
    const socket = options.wrap?.(request, rawSocket) ?? rawSocket;
    const connection: FakeConnection = {
      socket,
      opened: [],
      resets: [],
      write: (bytes) => void (!socket.destroyed && socket.write(bytes)),
    };
    connections.push(connection);
    rawSocket.on("end", () => rawSocket.end());
    rawSocket.on("close", () => connections.splice(connections.indexOf(connection), 1));
    if (options.script) options.script(connection, request);
    else serve(connection, podName(request), upgrades, options, graceMs);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    port: (server.address() as AddressInfo).port,
    connections,
    get upgrades() {
      return upgrades;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const podName = (request: IncomingMessage): string => /pods\/([^/]+)\//.exec(request.url ?? "")?.[1] ?? "";

interface Pair {
  error?: number;
  data?: number;
  socket?: Socket;
}

function serve(connection: FakeConnection, pod: string, upgrade: number, options: FakeKubeletOptions, graceMs: number): void {
  const { socket } = connection;
  const inflate = headerInflater();
  const pairs = new Map<string, Pair>();
  const byData = new Map<number, Pair>();
  const early = new Map<number, Buffer[]>();

  const dial = (pair: Pair, port: number): void => {
    const dataId = pair.data as number;
    const errorId = pair.error as number;
    const podPort = options.podPort?.(pod, port, upgrade) ?? port;
    if (podPort === "hangs") return;
    const local = new Socket({ allowHalfOpen: true });
    pair.socket = local;
    let connected = false;
    let over = false;
    const finish = (message: string): void => {
      if (over) return;
      over = true;
      byData.delete(dataId);
      local.destroy();
      if (connected) connection.write(frame.data(dataId, "", true));
      if (message !== "") connection.write(frame.data(errorId, `${JSON.stringify({ closeConnection: true, message })}\n`));
      connection.write(frame.data(errorId, "", true));
      if (!connected) connection.write(frame.data(dataId, "", true));
    };
    local.on("connect", () => {
      connected = true;
    });
    local.on("data", (chunk: Buffer) => {
      if (!socket.write(frame.data(dataId, chunk))) {
        local.pause();
        socket.once("drain", () => local.resume());
      }
    });
    local.on("end", () => setTimeout(() => finish(""), graceMs));
    local.on("finish", () => setTimeout(() => finish(""), graceMs));
    local.on("error", (error: NodeJS.ErrnoException) => {
      const words = error.code === "ECONNREFUSED" ? "connect: connection refused" : "read: connection reset by peer";
      finish(`error forwarding port ${port} to pod 0123, uid : failed to execute portforward in network namespace: ${words}`);
    });
    if (podPort === "gone") {
      finish('failed to find sandbox "0123" in store: not found');
      return;
    }
    local.connect({ port: podPort, host: "127.0.0.1" });
    for (const chunk of early.get(dataId) ?? []) feed(pair, chunk);
    early.delete(dataId);
  };

  /** No flow control: a pod that doesn't read stops the whole connection. */
  const feed = (pair: Pair, chunk: Buffer): void => {
    const local = pair.socket as Socket;
    if (local.destroyed || local.writableEnded || local.write(chunk)) return;
    socket.pause();
    local.once("drain", () => socket.resume());
    local.once("close", () => socket.resume());
  };

  const read = frameReader((received) => {
    if (!received.control) {
      const payload = Buffer.from(received.payload);
      const pair = byData.get(received.id);
      if (payload.length > 0) {
        if (pair?.socket) feed(pair, payload);
        else early.set(received.id, [...(early.get(received.id) ?? []), payload]);
      }
      if (received.flags & 1) pair?.socket?.end();
      return;
    }
    if (received.type === 6) {
      if (options.pong?.() ?? true) connection.write(frame.control(6, 0, received.payload));
    } else if (received.type === 3) {
      const id = received.payload.readUInt32BE(0);
      connection.resets.push(id);
      byData.get(id)?.socket?.end();
    } else if (received.type === 1) {
      const id = received.payload.readUInt32BE(0);
      const fin = (received.flags & 1) === 1;
      inflate(Buffer.from(received.payload.subarray(10))).then(
        (headers) => {
          connection.opened.push({ id, fin, headers });
          connection.write(frame.reply(id));
          const key = headers["requestid"] as string;
          const pair = pairs.get(key) ?? {};
          pairs.set(key, pair);
          pair[headers["streamtype"] as "error" | "data"] = id;
          if (pair.data === undefined || pair.error === undefined) return;
          byData.set(pair.data, pair);
          pairs.delete(key);
          dial(pair, Number(headers["port"]));
        },
        () => socket.destroy(),
      );
    }
  });
  socket.on("data", read);
  socket.on("close", () => {
    for (const pair of byData.values()) pair.socket?.destroy();
  });
}
