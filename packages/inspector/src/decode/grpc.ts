import { type Exchange, headerOf } from "../exchange.ts";

export interface GrpcFrame {
  /** Of the message, without its five bytes of head. */
  bytes: number;
  compressed: boolean;
  /** The trailers that gRPC-Web sends as a last frame. */
  trailers?: string;
  /** The start of the message, as hex: the fields' names are in a schema that isn't sent. */
  hex: string;
}

/** The length-prefixed messages of a gRPC or gRPC-Web body; the last one may be cut. */
export function grpcFrames(body: Uint8Array, most = 100): GrpcFrame[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const frames: GrpcFrame[] = [];
  for (let at = 0; at + 5 <= bytes.length && frames.length < most; ) {
    const flags = bytes[at]!;
    const length = bytes.readUInt32BE(at + 1);
    const message = bytes.subarray(at + 5, at + 5 + length);
    frames.push({
      bytes: length,
      compressed: (flags & 1) === 1,
      ...((flags & 0x80) !== 0 && { trailers: message.toString("latin1").trim() }),
      hex: message.toString("hex", 0, 512),
    });
    at += 5 + length;
  }
  return frames;
}

/** By number: https://grpc.io/docs/guides/status-codes/ */
const STATUS =
  "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED".split(
    " ",
  );

/** How a call of gRPC ended, with the server's own words: in its trailers, or in its head where nothing was answered. Undefined where it isn't known. */
export function grpcStatus({ responseHeaders, responseTrailers }: Exchange): string | undefined {
  const trailers = [...responseTrailers, ...responseHeaders];
  const code = headerOf(trailers, "grpc-status");
  if (code === undefined) return undefined;
  const said = headerOf(trailers, "grpc-message");
  return `${code} ${STATUS[Number(code)] ?? ""}`.trim() + (said ? `: ${unescaped(said)}` : "");
}

/** Percent-encoded by its specification; some don't. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
