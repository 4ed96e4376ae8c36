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
