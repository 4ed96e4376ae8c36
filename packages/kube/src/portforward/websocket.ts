import { createHash, randomBytes, randomFillSync } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { portForwardError } from "./errors.ts";

/**
 * A WebSocket client's framing (RFC 6455), binary messages only, no extensions. Nothing here does I/O. Our own and not a library's:
 * payload is passed on as it arrives instead of being collected into messages, and many writes become one message.
 */
export const OPCODE = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

const FIN = 0x80;
const MASKED = 0x80;
const MAX_CONTROL_PAYLOAD = 125;
/** Fixed by RFC 6455, 1.3. */
const ACCEPT_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export interface WebSocketHandshake {
  headers: Record<string, string>;
  /** Throws PORTFORWARD_PROTOCOL where the answer isn't one to this request. */
  check(answer: IncomingHttpHeaders): void;
}

export function webSocketHandshake(protocol: string): WebSocketHandshake {
  const key = randomBytes(16).toString("base64");
  return {
    headers: {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": key,
      "Sec-WebSocket-Protocol": protocol,
    },
    check(answer) {
      const accept = createHash("sha1").update(key).update(ACCEPT_GUID).digest("base64");
      if (answer["sec-websocket-accept"] !== accept) {
        throw portForwardError("PORTFORWARD_PROTOCOL", "the answer to a WebSocket request carries the wrong Sec-WebSocket-Accept");
      }
      if (answer["sec-websocket-protocol"] !== protocol) {
        const got = answer["sec-websocket-protocol"] ?? "none";
        throw portForwardError(
          "PORTFORWARD_PROTOCOL",
          `the server chose the WebSocket subprotocol ${got} where ${protocol} was asked for`,
        );
      }
    },
  };
}

const KEYS = new Uint32Array(256);
let nextKey = KEYS.length;

/** 32 bits that nobody can foresee, as section 10.3 asks. */
function maskingKey(): number {
  if (nextKey === KEYS.length) {
    randomFillSync(KEYS);
    nextKey = 0;
  }
  return KEYS[nextKey++] as number;
}

/** The longest head of a masked frame: 2 bytes, a 64-bit length, a key. Payload begins here, so that whole words can be masked. */
const PAYLOAD_AT = 16;

/** One whole frame with all of `parts` as its payload. */
export function encodeFrame(opcode: number, parts: readonly Buffer[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const memory = new ArrayBuffer(PAYLOAD_AT + ((length + 3) & ~3));
  const frame = Buffer.from(memory);
  let at = PAYLOAD_AT;
  for (const part of parts) at += part.copy(frame, at);

  const words = new Uint32Array(memory, PAYLOAD_AT);
  const key = maskingKey();
  for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) ^ key;
  // In the machine's own byte order, as the words above.
  new Uint32Array(memory, PAYLOAD_AT - 4, 1)[0] = key;

  const lengthBytes = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const start = PAYLOAD_AT - 4 - lengthBytes - 2;
  frame[start] = FIN | opcode;
  if (lengthBytes === 0) frame[start + 1] = MASKED | length;
  else if (lengthBytes === 2) {
    frame[start + 1] = MASKED | 126;
    frame.writeUInt16BE(length, start + 2);
  } else {
    frame[start + 1] = MASKED | 127;
    frame.writeUInt32BE(Math.floor(length / 2 ** 32), start + 2);
    frame.writeUInt32BE(length >>> 0, start + 6);
  }
  return frame.subarray(start, PAYLOAD_AT + length);
}

export interface WebSocketHandler {
  /** Payload of a message, as it arrives; `first` where a message begins. A slice of what was pushed: copy it to keep it. */
  payload(chunk: Buffer, first: boolean): void;
  ping(payload: Buffer): void;
  /** The far side closes; 1005 where it gave no code. */
  close(code: number): void;
}

export interface WebSocketDecoder {
  /** Throws PORTFORWARD_PROTOCOL; then the decoder is of no more use. */
  push(chunk: Buffer): void;
}

const broken = (what: string): Error => portForwardError("PORTFORWARD_PROTOCOL", `the server sent a WebSocket frame ${what}`);

/** Takes bytes in any cut. Keeps at most one control frame (125 bytes) between calls, however long a message is. */
export function createWebSocketDecoder(handler: WebSocketHandler): WebSocketDecoder {
  const head = Buffer.allocUnsafe(10);
  let headFill = 0;
  let headLength = 2;
  let remaining = 0;
  let opcode = -1;
  let first = false;
  let inMessage = false;
  let fin = false;
  const control = Buffer.allocUnsafe(MAX_CONTROL_PAYLOAD);
  let controlFill = 0;

  const finishFrame = (): void => {
    if (opcode < OPCODE.CLOSE) return;
    const payload = Buffer.from(control.subarray(0, controlFill));
    if (opcode === OPCODE.PING) handler.ping(payload);
    else if (opcode === OPCODE.CLOSE) handler.close(payload.length >= 2 ? payload.readUInt16BE(0) : 1005);
  };

  const startFrame = (): void => {
    const one = head[0] as number;
    const two = head[1] as number;
    fin = (one & FIN) !== 0;
    opcode = one & 0x0f;
    if (one & 0x70) throw broken("of an extension that was not agreed on");
    if (two & MASKED) throw broken("that is masked");
    const short = two & 0x7f;
    remaining = short < 126 ? short : short === 126 ? head.readUInt16BE(2) : Number(head.readBigUInt64BE(2));
    if (!Number.isSafeInteger(remaining)) throw broken("of an impossible length");
    if (opcode >= OPCODE.CLOSE) {
      if (!fin || remaining > MAX_CONTROL_PAYLOAD) throw broken("with a control payload over 125 bytes, or in pieces");
      if (opcode > OPCODE.PONG) throw broken(`of the unknown type ${opcode}`);
      controlFill = 0;
    } else {
      if (opcode > OPCODE.BINARY) throw broken(`of the unknown type ${opcode}`);
      if ((opcode === OPCODE.CONTINUATION) !== inMessage) throw broken("out of turn");
      first = first || !inMessage;
      inMessage = !fin;
    }
    if (remaining === 0) finishFrame();
  };

  return {
    push(chunk) {
      let at = 0;
      while (at < chunk.length) {
        if (remaining > 0) {
          const take = Math.min(remaining, chunk.length - at);
          remaining -= take;
          if (opcode < OPCODE.CLOSE) {
            const wasFirst = first;
            first = false;
            handler.payload(chunk.subarray(at, at + take), wasFirst);
          } else {
            chunk.copy(control, controlFill, at, at + take);
            controlFill += take;
          }
          at += take;
          if (remaining === 0) finishFrame();
          continue;
        }
        const take = Math.min(headLength - headFill, chunk.length - at);
        chunk.copy(head, headFill, at, at + take);
        headFill += take;
        at += take;
        if (headFill < headLength) continue;
        const short = (head[1] as number) & 0x7f;
        const whole = 2 + (short < 126 ? 0 : short === 126 ? 2 : 8);
        if (headLength < whole) {
          headLength = whole;
          continue;
        }
        headFill = 0;
        headLength = 2;
        startFrame();
      }
    },
  };
}
