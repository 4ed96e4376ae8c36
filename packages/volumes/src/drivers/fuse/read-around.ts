import { askFor, type Stretch, type StretchSource } from "./read-ahead.ts";

/**
 * Of a file far away that is read here and there, what lies around what is asked for comes with it: of a database, an archive or an index the next
 * read mostly is near. The kernel does so for mapped memory, and not for what is read.
 */
export interface ReadAround {
  /** The one that has this byte, if it holds still. */
  at(offset: number): Stretch | undefined;
  /** The kernel has asked for these, elsewhere than before, and `asked` has begun to bring them. */
  follow(offset: number, size: number, asked: Promise<unknown>): void;
  close(): void;
}

/** So much at a time, in bytes, from a multiple of it on: as much as the kernel takes around mapped memory. */
const BLOCK = 128 * 1024;
/** The most that is kept of all files, in blocks: 32 MiB. */
const MOST = 256;
/** Where a question takes less, in ms, what lies around takes about as long as another question. */
const FAR_MS = 2;
/** Of the time that readers wait the line is free for so much of what they may never need. */
const SHARE = 1 / 16;
/** What it may cost before it has spared anything, in ms, and the most that it lives on later. */
const CREDIT_MS = 100;
const MOST_CREDIT_MS = 1_000;

/** Those of a mount, which share what is kept and what it may cost. */
export function createAround(): (source: StretchSource) => ReadAround {
  /** Each with what removes it: the one that was of use longest ago first. */
  const kept = new Map<Stretch, () => void>();
  /** How long the last answer took, in ms. */
  let wait = 0;
  /** What it has spared readers less what it has taken of the line, in ms. Without any it stops. */
  let credit = CREDIT_MS;
  let isAsking = false;
  const earn = (ms: number): void => {
    credit = Math.min(MOST_CREDIT_MS, credit + ms);
  };

  return (source) => {
    const blocks = new Map<number, Stretch>();
    const keep = (block: number, stretch: Stretch): void => {
      kept.get(blocks.get(block)!)?.();
      blocks.set(block, stretch);
      kept.set(stretch, () => {
        kept.delete(stretch);
        blocks.delete(block);
      });
      if (kept.size > MOST) kept.values().next().value!();
    };
    return {
      at(offset) {
        const found = blocks.get(Math.floor(offset / BLOCK));
        if (!found || (found.isOver() && !found.isSame())) return undefined;
        const remove = kept.get(found)!;
        kept.delete(found);
        kept.set(found, remove);
        earn(wait);
        return found;
      },
      follow(offset, size, asked) {
        const began = performance.now();
        let came = began;
        asked.then(
          () => {
            came = performance.now();
            isAsking = false;
            wait = came - began;
            earn(wait * SHARE);
          },
          () => {
            isAsking = false;
          },
        );
        // One at a time: others that read meanwhile wait for no more than that.
        if (size >= BLOCK || wait < FAR_MS || credit <= 0 || isAsking) return;
        isAsking = true;
        const block = Math.floor(offset / BLOCK);
        const stretch = askFor(source, block * BLOCK, Buffer.allocUnsafeSlow(BLOCK));
        keep(block, stretch);
        stretch.found.then(
          () => {
            credit -= performance.now() - came;
          },
          () => {
            kept.get(stretch)?.();
          },
        );
      },
      close() {
        for (const stretch of blocks.values()) kept.get(stretch)!();
      },
    };
  };
}
