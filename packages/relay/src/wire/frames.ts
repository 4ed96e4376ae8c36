import { relayError } from "../errors.ts";

/**
 * What travels on a link, after its first lines: frames of a header of eight bytes (type, three bytes of length, four bytes of the
 * stream's number, most significant first) and a payload. A stream is opened by one end of the session alone, with numbers that grow.
 */
export const FRAME = {
  /** Opens a stream; the payload says what for, as JSON. Bytes may follow at once. */
  OPEN: 1,
  /** The answer: it stands. JSON or nothing. */
  ACCEPT: 2,
  /** The answer: there is no such stream, and why, as JSON. Nothing of what was sent on it has been read. */
  REFUSE: 3,
  DATA: 4,
  /** No more DATA from this end; the other one may go on. */
  FIN: 5,
  /** The stream is over, both ways, as by TCP's reset. */
  RESET: 6,
  /** So many more bytes of DATA may be sent: four bytes. */
  CREDIT: 7,
  PING: 8,
  PONG: 9,
} as const;

export type FrameType = (typeof FRAME)[keyof typeof FRAME];

const HEADER_BYTES = 8;
export const MAX_DATA_BYTES = 65_536;
/** More than any question, answer or reason is long. */
const MAX_TEXT_BYTES = 16_384;

/** Least and greatest length of a payload, by type. */
const LENGTHS: Readonly<Record<number, readonly [least: number, most: number]>> = {
  [FRAME.OPEN]: [2, MAX_TEXT_BYTES],
  [FRAME.ACCEPT]: [0, MAX_TEXT_BYTES],
  [FRAME.REFUSE]: [2, MAX_TEXT_BYTES],
  [FRAME.DATA]: [1, MAX_DATA_BYTES],
  [FRAME.FIN]: [0, 0],
  [FRAME.RESET]: [0, 0],
  [FRAME.CREDIT]: [4, 4],
  [FRAME.PING]: [0, 0],
  [FRAME.PONG]: [0, 0],
};

export function encodeHeader(type: FrameType, stream: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32BE(((type << 24) | length) >>> 0, 0);
  header.writeUInt32BE(stream, 4);
  return header;
}

/** A frame whose payload is JSON; throws `RELAY_OPTIONS` where that is too long for one. */
export function encodeText(type: FrameType, stream: number, value: unknown): Buffer {
  const text = value === undefined ? "" : JSON.stringify(value);
  const length = Buffer.byteLength(text);
  if (length > MAX_TEXT_BYTES) throw relayError("RELAY_OPTIONS", `${length} bytes don't fit a frame of the link's`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.writeUInt32BE(((type << 24) | length) >>> 0, 0);
  frame.writeUInt32BE(stream, 4);
  frame.write(text, HEADER_BYTES);
  return frame;
}

export function encodeCredit(stream: number, bytes: number): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + 4);
  frame.writeUInt32BE(((FRAME.CREDIT << 24) | 4) >>> 0, 0);
  frame.writeUInt32BE(stream, 4);
  frame.writeUInt32BE(bytes, HEADER_BYTES);
  return frame;
}

export interface FrameHandler {
  /** Bytes of a DATA frame, as they come: slices of what was pushed. */
  data(stream: number, bytes: Buffer): void;
  /** Any other frame, whole. */
  frame(type: FrameType, stream: number, payload: Buffer): void;
}

export interface FrameDecoder {
  /** Throws `RELAY_PROTOCOL` at the first byte that can't be of a frame; it must not be used after that. */
  push(chunk: Buffer): void;
}

/** Takes what is received in pieces of any size. It holds no more than a header and a text that are not yet complete. */
export function createFrameDecoder(handler: FrameHandler): FrameDecoder {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerLength = 0;
  let type = 0;
  let stream = 0;
  /** Bytes of the payload that are still to come. */
  let missing = 0;
  let parts: Buffer[] = [];

  const readHeader = (from: Buffer, at: number): void => {
    const first = from.readUInt32BE(at);
    type = first >>> 24;
    missing = first & 0xff_ffff;
    stream = from.readUInt32BE(at + 4);
    const bounds = LENGTHS[type];
    if (!bounds) throw relayError("RELAY_PROTOCOL", `a frame of an unknown type came on the relay's link: ${type}`);
    if (missing < bounds[0] || missing > bounds[1]) {
      throw relayError("RELAY_PROTOCOL", `a frame of type ${type} can't have ${missing} bytes`);
    }
    if (missing === 0) handler.frame(type as FrameType, stream, EMPTY);
  };

  return {
    push(chunk) {
      for (let at = 0; at < chunk.length; ) {
        if (missing === 0) {
          if (headerLength === 0 && chunk.length - at >= HEADER_BYTES) {
            readHeader(chunk, at);
            at += HEADER_BYTES;
            continue;
          }
          const copied = chunk.copy(header, headerLength, at, at + HEADER_BYTES - headerLength);
          at += copied;
          headerLength += copied;
          if (headerLength < HEADER_BYTES) return;
          headerLength = 0;
          readHeader(header, 0);
          continue;
        }
        const end = Math.min(at + missing, chunk.length);
        const bytes = chunk.subarray(at, end);
        missing -= end - at;
        at = end;
        if (type === FRAME.DATA) handler.data(stream, bytes);
        else if (missing > 0) parts.push(Buffer.from(bytes));
        else if (parts.length === 0) handler.frame(type as FrameType, stream, bytes);
        else {
          const payload = Buffer.concat([...parts, bytes]);
          parts = [];
          handler.frame(type as FrameType, stream, payload);
        }
      }
    },
  };
}

const EMPTY = Buffer.alloc(0);
