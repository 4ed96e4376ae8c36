/** Datagrams on a stream: two bytes of length, most significant first, and that many bytes. */
export function frameDatagram(datagram: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(2 + datagram.length);
  frame.writeUInt16BE(datagram.length);
  frame.set(datagram, 2);
  return frame;
}

/** Returns what takes the stream's bytes, however they are cut, and hands on each datagram. */
export function datagramReader(onDatagram: (datagram: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE()) {
      const end = 2 + rest.readUInt16BE();
      onDatagram(rest.subarray(2, end));
      rest = rest.subarray(end);
    }
  };
}
