import { constants, inflateRawSync } from "node:zlib";
import type { Message } from "../exchange.ts";
import { messageText } from "./message-text.ts";

export interface WebSocketReader {
  push(bytes: Uint8Array): void;
}

/** Bytes of one message that are kept until it is complete. */
const KEPT_OF_MESSAGE = 64 * 1024;
/** What a message may grow to when it is inflated. */
const LONGEST_INFLATED = 256 * 1024;
const WINDOW = 32 * 1024;
const KINDS: Readonly<Record<number, Message["kind"]>> = { 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

/** Reads one direction of a WebSocket (RFC 6455), and messages compressed as in RFC 7692 with or without a context carried over. */
export function createWebSocketReader(
  deflate: boolean,
  onMessage: (message: Pick<Message, "kind" | "bytes" | "text">) => void,
): WebSocketReader {
  let rest: Buffer = Buffer.alloc(0);
  /** The frame that is being read. */
  let frame:
    | { opcode: number; fin: boolean; left: number; mask: Buffer | undefined; at: number; parts: Buffer[]; kept: number }
    | undefined;
  let message: { kind: Message["kind"]; packed: boolean; bytes: number; parts: Buffer[]; kept: number } | undefined;
  /** What has been inflated last; undefined once a message was missed, from when on nothing can be. */
  let window: Buffer | undefined = Buffer.alloc(0);

  const inflate = (packed: Buffer): Buffer | undefined => {
    if (!window) return undefined;
    try {
      const plain = inflateRawSync(Buffer.concat([packed, Buffer.from([0, 0, 0xff, 0xff])]), {
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength: LONGEST_INFLATED,
        ...(window.length > 0 && { dictionary: window }),
      });
      window = Buffer.concat([window, plain]).subarray(-WINDOW);
      return plain;
    } catch {
      window = undefined;
      return undefined;
    }
  };
  const finish = ({ kind, packed, bytes, parts, kept }: NonNullable<typeof message>): void => {
    const whole = Buffer.concat(parts);
    if (!packed) {
      const code =
        kind === "close" && whole.length >= 2
          ? `${whole.readUInt16BE(0)} ${messageText(kind, whole.subarray(2))}`.trim()
          : undefined;
      onMessage({ kind, bytes, text: code ?? messageText(kind, whole) });
      return;
    }
    if (kept < bytes) window = undefined;
    const plain = inflate(whole);
    onMessage({
      kind,
      bytes: plain?.length ?? bytes,
      text: plain ? messageText(kind, plain) : "(compressed, and not readable from here on)",
    });
  };
  const endFrame = ({ opcode, fin, parts, kept, at }: NonNullable<typeof frame>, packed: boolean): void => {
    frame = undefined;
    if (opcode >= 8) {
      // Control frames may stand between the frames of a message, and are never compressed.
      finish({ kind: KINDS[opcode] ?? "binary", packed: false, bytes: at, parts, kept });
      return;
    }
    if (opcode !== 0 || !message) message = { kind: KINDS[opcode] ?? "binary", packed, bytes: 0, parts: [], kept: 0 };
    message.bytes += at;
    if (message.kept < KEPT_OF_MESSAGE) message.parts.push(...parts);
    message.kept += kept;
    if (!fin) return;
    const whole = message;
    message = undefined;
    finish(whole);
  };
  let packed = false;

  return {
    push(bytes) {
      rest = Buffer.concat([rest, bytes]);
      for (;;) {
        if (!frame) {
          const head = readHead(rest);
          if (!head) return;
          rest = rest.subarray(head.size);
          packed = deflate && head.compressed;
          frame = { opcode: head.opcode, fin: head.fin, left: head.length, mask: head.mask, at: 0, parts: [], kept: 0 };
        }
        const part = rest.subarray(0, Math.min(frame.left, rest.length));
        rest = rest.subarray(part.length);
        if (frame.kept < KEPT_OF_MESSAGE && part.length > 0) {
          const plain = Buffer.from(part);
          if (frame.mask) for (let i = 0; i < plain.length; i++) plain[i]! ^= frame.mask[(frame.at + i) & 3]!;
          frame.parts.push(plain);
          frame.kept += plain.length;
        }
        frame.at += part.length;
        frame.left -= part.length;
        if (frame.left > 0) return;
        endFrame(frame, packed);
      }
    },
  };
}

function readHead(
  bytes: Buffer,
): { opcode: number; fin: boolean; compressed: boolean; length: number; mask: Buffer | undefined; size: number } | undefined {
  if (bytes.length < 2) return undefined;
  const [first = 0, second = 0] = bytes;
  const short = second & 0x7f;
  const wide = short === 126 ? 2 : short === 127 ? 8 : 0;
  const masked = (second & 0x80) !== 0;
  const size = 2 + wide + (masked ? 4 : 0);
  if (bytes.length < size) return undefined;
  const length = wide === 2 ? bytes.readUInt16BE(2) : wide === 8 ? Number(bytes.readBigUInt64BE(2)) : short;
  return {
    opcode: first & 0x0f,
    fin: (first & 0x80) !== 0,
    compressed: (first & 0x40) !== 0,
    length,
    mask: masked ? Buffer.from(bytes.subarray(2 + wide, size)) : undefined,
    size,
  };
}
