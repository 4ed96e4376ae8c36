import { BadFrame } from "./sftp.ts";

/** What OpenSSH takes at most, and so what no client exceeds: 256 KiB and what belongs to them. */
export const LONGEST_FRAME = 256 * 1024 + 1024;

/**
 * Cuts a stream of bytes into packets, each without its length. One that came in one piece is a view of it; another one is copied once.
 * What it yields must be done with before the next `push`. Holds no more than one packet. Throws {@link BadFrame}.
 */
export function frameReader(): { push(chunk: Buffer): Generator<Buffer, void> } {
  let parts: Buffer[] = [];
  let held = 0;
  /** Of the packet whose length is known and whose end isn't there. */
  let wanted: number | undefined;

  const take = (bytes: number): Buffer => {
    const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts, held);
    const rest = whole.subarray(bytes);
    parts = rest.length > 0 ? [rest] : [];
    held = rest.length;
    return whole.subarray(0, bytes);
  };

  return {
    *push(chunk) {
      if (chunk.length === 0) return;
      parts.push(chunk);
      held += chunk.length;
      for (;;) {
        if (wanted === undefined) {
          if (held < 4) return;
          const length = take(4).readUInt32BE(0);
          if (length < 1 || length > LONGEST_FRAME) throw new BadFrame(`a packet of ${length} bytes`);
          wanted = length;
        }
        if (held < wanted) return;
        const frame = take(wanted);
        wanted = undefined;
        yield frame;
      }
    },
  };
}
