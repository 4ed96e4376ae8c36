import { BadFrame } from "./sftp.ts";

/** What OpenSSH takes at most, and so what no client exceeds: 256 KiB and what belongs to them. */
export const LONGEST_FRAME = 256 * 1024 + 1024;

const LENGTH_BYTES = 4;
/** The room for what comes in pieces begins so large, in bytes: a WRITE of what sshfs sends at a time. */
const FIRST_ROOM = 34 * 1024;

/**
 * Cuts a stream of bytes into packets, each without its length. One that came in one piece is a view of it; another one is put together in a
 * place that is used again, so that nothing of a long transfer is left for the collector. What it yields must be done with before the
 * next one is asked for. Holds no more than one packet. Throws {@link BadFrame}.
 */
export function frameReader(): { push(chunk: Buffer): Generator<Buffer, void> } {
  let room = Buffer.alloc(0);
  /** What is in the room: a length, then its packet. */
  let held = 0;

  /** Where a length is known, of the whole with it; else of the length alone. */
  const wanted = (from: Buffer, at: number, available: number): number => {
    if (available < LENGTH_BYTES) return LENGTH_BYTES;
    const length = from.readUInt32BE(at);
    if (length < 1 || length > LONGEST_FRAME) throw new BadFrame(`a packet of ${length} bytes`);
    return LENGTH_BYTES + length;
  };
  const keep = (bytes: Buffer, least: number): void => {
    if (room.length < least) {
      const larger = Buffer.allocUnsafeSlow(Math.max(least, FIRST_ROOM));
      room.copy(larger, 0, 0, held);
      room = larger;
    }
    held += bytes.copy(room, held);
  };

  return {
    *push(chunk) {
      for (let at = 0; at < chunk.length; ) {
        const left = chunk.length - at;
        const whole = held === 0 ? wanted(chunk, at, left) : wanted(room, 0, held);
        if (held === 0 && left >= whole) {
          yield chunk.subarray(at + LENGTH_BYTES, at + whole);
          at += whole;
          continue;
        }
        const piece = chunk.subarray(at, at + whole - held);
        keep(piece, whole);
        at += piece.length;
        // The length may only now be known.
        if (held < whole || wanted(room, 0, held) > held) continue;
        held = 0;
        yield room.subarray(LENGTH_BYTES, whole);
      }
    },
  };
}
