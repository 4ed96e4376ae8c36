/** How datagrams travel in a stream: two bytes of length, most significant first, and that many bytes. */

/** The longest that UDP over IPv4 carries, in bytes (RFC 768, RFC 791). */
export const LONGEST_DATAGRAM = 65_507;

/** Throws a RangeError beyond 65,535 bytes, which no UDP carries. */
export function encodeDatagram(datagram: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(2 + datagram.length);
  frame.writeUInt16BE(datagram.length);
  frame.set(datagram, 2);
  return frame;
}

/** Takes a stream's chunks as they come, and gives the datagrams that are whole. */
export function datagramReader(): (chunk: Buffer) => Buffer[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    const out: Buffer[] = [];
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    while (bytes.length >= 2) {
      const end = 2 + bytes.readUInt16BE();
      if (bytes.length < end) break;
      out.push(bytes.subarray(2, end));
      bytes = bytes.subarray(end);
    }
    rest = bytes;
    return out;
  };
}
