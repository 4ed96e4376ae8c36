import { createHash, randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";
import { kubeError } from "./errors.ts";

/** The client's end of a WebSocket (RFC 6455) whose messages are binary and small: what exec speaks. */
export interface WebSocketClient {
  readonly protocol: string;
  /** Resolves when the system has taken the bytes. */
  send(message: Uint8Array): Promise<void>;
  close(): void;
}

export interface WebSocketHandler {
  message(message: Buffer): void;
  /** Called once; `error` where the connection failed or broke the protocol. */
  closed(error: Error | undefined): void;
}

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MAX_MESSAGE = 16 << 20;
const CONTINUATION = 0x0;
const TEXT = 0x1;
const BINARY = 0x2;
const CLOSE = 0x8;
const PING = 0x9;
const PONG = 0xa;

/** Headers of the handshake (§4.1) and the check of its answer (§4.2.2), which returns the protocol that the server chose. */
export function webSocketHandshake(protocols: readonly string[]): {
  headers: Record<string, string>;
  check(answer: IncomingHttpHeaders): string;
} {
  const key = randomBytes(16).toString("base64");
  return {
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": key,
      "Sec-WebSocket-Protocol": protocols.join(", "),
    },
    check(answer) {
      const protocol = answer["sec-websocket-protocol"];
      const expected = createHash("sha1")
        .update(key + GUID)
        .digest("base64");
      if (answer["sec-websocket-accept"] !== expected)
        throw kubeError("KUBE_PROTOCOL", "the answer to the WebSocket handshake doesn't fit its key");
      if (protocol === undefined || !protocols.includes(protocol)) {
        throw kubeError("KUBE_PROTOCOL", `the server speaks none of ${protocols.join(", ")} over WebSocket`);
      }
      return protocol;
    },
  };
}

export function openWebSocket(socket: Duplex, head: Buffer, protocol: string, handler: WebSocketHandler): WebSocketClient {
  let received = head;
  let message: Buffer[] = [];
  let size = 0;
  let closed = false;

  const finish = (error: Error | undefined): void => {
    if (closed) return;
    closed = true;
    socket.destroy();
    handler.closed(error);
  };
  const violation = (why: string): void => finish(kubeError("KUBE_PROTOCOL", `WebSocket: ${why}`));

  const frame = (opcode: number, final: boolean, payload: Buffer): void => {
    if (opcode === PING) {
      socket.write(encodeFrame(PONG, payload));
      return;
    }
    if (opcode === CLOSE) {
      if (!socket.destroyed) socket.write(encodeFrame(CLOSE, payload.subarray(0, 2)));
      finish(undefined);
      return;
    }
    if (opcode === PONG) return;
    if ((opcode === CONTINUATION) !== message.length > 0) {
      violation("a fragment is out of order");
      return;
    }
    message.push(payload);
    size += payload.length;
    if (size > MAX_MESSAGE) {
      violation(`a message of more than ${MAX_MESSAGE} bytes`);
      return;
    }
    if (!final) return;
    const whole = message.length === 1 ? message[0]! : Buffer.concat(message);
    message = [];
    size = 0;
    handler.message(whole);
  };

  const onData = (chunk: Buffer): void => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    while (!closed) {
      const next = decodeFrame(received);
      if (next === undefined) return;
      if (typeof next === "string") {
        violation(next);
        return;
      }
      received = received.subarray(next.length);
      frame(next.opcode, next.final, next.payload);
    }
  };

  socket.on("error", (error) => finish(error));
  socket.on("end", () => finish(undefined));
  socket.on("close", () => finish(undefined));
  socket.on("data", onData);
  // Bytes that came with the handshake, after the caller has got its hands on the client.
  if (head.length > 0) queueMicrotask(() => onData(Buffer.alloc(0)));

  return {
    protocol,
    send: (payload) =>
      new Promise((resolve, reject) => {
        if (closed) return resolve();
        socket.write(encodeFrame(BINARY, payload), (error) => (error ? reject(error) : resolve()));
      }),
    close() {
      if (!closed && !socket.destroyed) socket.end(encodeFrame(CLOSE, Buffer.from([0x03, 0xe8])));
      finish(undefined);
    },
  };
}

/** One final frame, masked as a client's must be (§5.3). */
export function encodeFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const out = Buffer.allocUnsafe(6 + extra + length);
  out[0] = 0x80 | opcode;
  out[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) out.writeUInt16BE(length, 2);
  if (extra === 8) out.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  mask.copy(out, 2 + extra);
  for (let i = 0; i < length; i++) out[6 + extra + i] = payload[i]! ^ mask[i & 3]!;
  return out;
}

/** The first frame in `bytes`, undefined where it isn't complete, a sentence where it is not allowed. */
export function decodeFrame(
  bytes: Buffer,
): { opcode: number; final: boolean; payload: Buffer; length: number } | string | undefined {
  if (bytes.length < 2) return undefined;
  if ((bytes[0]! & 0x70) !== 0) return "a reserved bit is set";
  if ((bytes[1]! & 0x80) !== 0) return "a frame of the server is masked";
  const opcode = bytes[0]! & 0x0f;
  if (![CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG].includes(opcode)) return `unknown opcode ${opcode}`;
  const short = bytes[1]! & 0x7f;
  const header = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < header) return undefined;
  const length = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  if (length > MAX_MESSAGE) return `a frame of ${length} bytes`;
  if (bytes.length < header + length) return undefined;
  return { opcode, final: (bytes[0]! & 0x80) !== 0, payload: bytes.subarray(header, header + length), length: header + length };
}
