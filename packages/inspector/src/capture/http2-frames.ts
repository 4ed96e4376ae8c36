/** A frame of HTTP/2 (RFC 9113, 4.1). DATA comes in parts, as it passed; all others whole, without padding and priority. */
export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Uint8Array;
  /** No part of this frame follows. */
  last: boolean;
}

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, push: 5, goaway: 7, continuation: 9 } as const;
export const FLAG = { endStream: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;
export const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Frames that are kept until they are whole: no peer sends more without having been allowed to. */
const LONGEST = 1024 * 1024;

/** Cuts one direction into frames. Returns what takes its bytes, and says false from when on they can't be read. */
export function frameReader(onFrame: (frame: Frame) => void): (bytes: Uint8Array) => boolean {
  let rest: Buffer = Buffer.alloc(0);
  /** The DATA frame that is under way. */
  let data: { flags: number; stream: number; left: number; padding: number } | undefined;
  return (bytes) => {
    rest = rest.length === 0 ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : Buffer.concat([rest, bytes]);
    for (;;) {
      if (data) {
        const part = rest.subarray(0, data.left);
        rest = rest.subarray(part.length);
        data.left -= part.length;
        // Padding is at the end, and no part of what was sent.
        const shown = part.subarray(0, Math.max(0, part.length - Math.max(0, data.padding - data.left)));
        const last = data.left === 0;
        if (part.length > 0 || last) onFrame({ type: FRAME.data, flags: data.flags, stream: data.stream, payload: shown, last });
        if (!last) return true;
        data = undefined;
      }
      if (rest.length < 9) return true;
      const length = rest.readUIntBE(0, 3);
      const [type, flags] = [rest[3]!, rest[4]!];
      const stream = rest.readUInt32BE(5) & 0x7fffffff;
      const padded = (flags & FLAG.padded) !== 0 && (type === FRAME.data || type === FRAME.headers || type === FRAME.push);
      if (type === FRAME.data) {
        if (rest.length < (padded ? 10 : 9)) return true;
        const padding = padded ? rest[9]! : 0;
        if (padding + (padded ? 1 : 0) > length) return false;
        rest = rest.subarray(padded ? 10 : 9);
        data = { flags, stream, left: length - (padded ? 1 : 0), padding };
        continue;
      }
      if (length > LONGEST) return false;
      if (rest.length < 9 + length) return true;
      let payload = rest.subarray(9, 9 + length);
      rest = rest.subarray(9 + length);
      if (padded) payload = payload.subarray(1, Math.max(1, payload.length - payload[0]!));
      if (type === FRAME.headers && (flags & FLAG.priority) !== 0) payload = payload.subarray(5);
      onFrame({ type, flags, stream, payload, last: true });
    }
  };
}
