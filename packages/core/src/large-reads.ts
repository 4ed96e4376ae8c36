import { Socket } from "node:net";

/** Of memory at a time, in bytes; what is left of it when that is less than `LEAST` isn't used. */
const SLAB = 256 * 1024;
const LEAST = 64 * 1024;

/** What a socket has of Node's that has no public name. */
interface Handle {
  reading: boolean;
  readStop(): void;
}

/**
 * Takes over a connected socket that was accepted or handed over, and from which nothing was read yet, to read it in pieces of up to 256 KiB
 * where Node reads 64 KiB at a time, each into memory of its own: of bulk that is a third of the reads. Returns the
 * socket to use instead; the given one closes when that has closed, so that its server's count is right. Returns the given one where this Node
 * doesn't lend its handle.
 */
export function readInLargePieces(given: Socket): Socket {
  const owner = given as unknown as { _handle?: Handle | null };
  const handle = owner._handle;
  if (!handle || given.readableLength > 0) return given;
  handle.readStop();
  handle.reading = false;
  owner._handle = null;

  let slab = Buffer.allocUnsafeSlow(SLAB);
  let used = 0;
  const onread = {
    buffer(): Buffer {
      if (SLAB - used < LEAST) {
        slab = Buffer.allocUnsafeSlow(SLAB);
        used = 0;
      }
      return slab.subarray(used);
    },
    callback(length: number, piece: Buffer): boolean {
      used += length;
      return socket.push(piece.subarray(0, length));
    },
  };
  const options = { handle, allowHalfOpen: given.allowHalfOpen, onread };
  const socket: Socket = new Socket(options as object);
  socket.once("close", () => given.destroy());
  return socket;
}
