import { type HeaderList, headerOf } from "../exchange.ts";
import { unpacked } from "./content.ts";

export interface GrpcFrame {
  /** Of the message as it was sent, without its five bytes of head. */
  bytes: number;
  compressed: boolean;
  /** The trailers that gRPC-Web sends as a last frame. */
  trailers?: string;
  /** The message, unpacked where it was compressed, as hex: the fields' names are in a schema that isn't sent. At most 8 KiB of it. */
  hex: string;
  /** Where messages are JSON, as the content type says: the same as text. */
  text?: string;
  /** Whether `hex` is all of the message. */
  whole: boolean;
}

/** Bytes of a message that are shown, and of all messages of a body. */
const SHOWN = 8 * 1024;
const MOST_SHOWN = 256 * 1024;

/** The length-prefixed messages of a gRPC or gRPC-Web body, whose headers these are; the last one may be cut. */
export function grpcFrames(headers: HeaderList, body: Uint8Array, most = 100): GrpcFrame[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const isJson = /^application\/grpc(?:-web)?\+json\b/i.test(headerOf(headers, "content-type") ?? "");
  const frames: GrpcFrame[] = [];
  let room = MOST_SHOWN;
  for (let at = 0; at + 5 <= bytes.length && frames.length < most; ) {
    const flags = bytes[at]!;
    const length = bytes.readUInt32BE(at + 1);
    const sent = bytes.subarray(at + 5, at + 5 + length);
    const compressed = (flags & 1) === 1;
    const message = (compressed ? unpacked(headerOf(headers, "grpc-encoding") ?? "", sent) : sent) ?? sent;
    const shown = message.subarray(0, Math.min(SHOWN, room));
    room -= shown.length;
    frames.push({
      bytes: length,
      compressed,
      ...((flags & 0x80) !== 0 && { trailers: message.toString("latin1").trim() }),
      hex: shown.toString("hex"),
      ...(isJson && { text: shown.toString("utf8") }),
      // One that could not be unpacked can't be told from its bytes, and so not be edited.
      whole: sent.length === length && shown.length === message.length && !(compressed && message === sent),
    });
    at += 5 + length;
  }
  return frames;
}

/** The body of a call that sends these messages, none of them compressed. */
export function grpcBody(messages: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => {
      const head = Buffer.alloc(5);
      head.writeUInt32BE(message.length, 1);
      return [head, message];
    }),
  );
}
