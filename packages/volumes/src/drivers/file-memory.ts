/** So many bytes at most are had in one piece. */
export const PIECE = 512 * 1024;

export interface Piece {
  bytes: Buffer;
  /** Once: its memory is then somebody else's. */
  free(): void;
}

interface Block {
  memory: Buffer;
  used: number;
  users: number;
}

/** Memory that is used again: what is made anew for each file has the collector go through the whole heap every now and then. */
export function fileMemory(): { take(length: number): Piece } {
  const make = (): Block => ({ memory: Buffer.allocUnsafeSlow(PIECE), used: 0, users: 0 });
  const spare: Block[] = [];
  let current: Block | undefined;
  return {
    /** At most {@link PIECE}. */
    take(length) {
      if (!current || current.used + length > PIECE) current = spare.pop() ?? make();
      const block = current;
      const bytes = block.memory.subarray(block.used, block.used + length);
      block.used += length;
      block.users++;
      return {
        bytes,
        free() {
          if (--block.users > 0) return;
          block.used = 0;
          if (block !== current) spare.push(block);
        },
      };
    },
  };
}
