import { abortError } from "@shipside/core";

/** Resources by key, counted by their holders: opened for the first, closed when the last lets go. */
export interface Shared<T> {
  /**
   * The value, opened now or shared. A failed opening is not kept: the next one tries again. Whoever's `signal` fires waits no longer;
   * the opening itself is aborted when nobody waits for it any more. `release` is idempotent, and resolves when the value is closed if
   * this was the last holder.
   */
  acquire(key: string, open: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<Held<T>>;
  /** The value came to its end by itself: the next one opens another. Its holders still have to let go. */
  drop(key: string): void;
  /** How many values are open or being opened. */
  readonly size: number;
}

export interface Held<T> {
  value: T;
  release(): Promise<void>;
}

interface Slot<T> {
  value: Promise<T>;
  holders: number;
  unwanted: AbortController;
}

/** An opening waits for a closing of the same key: the two never overlap. */
export function createShared<T extends { close(): Promise<void> }>(): Shared<T> {
  const slots = new Map<string, Slot<T>>();
  const closing = new Map<string, Promise<void>>();

  const forget = (key: string, slot: Slot<T>): void => {
    if (slots.get(key) === slot) slots.delete(key);
  };

  const release = async (key: string, slot: Slot<T>): Promise<void> => {
    if (--slot.holders > 0) return;
    forget(key, slot);
    slot.unwanted.abort();
    const done = slot.value.then(
      (value) => value.close(),
      () => {},
    );
    const settled = done.catch(() => {});
    closing.set(key, settled);
    await settled;
    if (closing.get(key) === settled) closing.delete(key);
    await done;
  };

  const slotOf = (key: string, open: (signal: AbortSignal) => Promise<T>): Slot<T> => {
    const there = slots.get(key);
    if (there) return there;
    const unwanted = new AbortController();
    const before = closing.get(key) ?? Promise.resolve();
    const slot: Slot<T> = { value: before.then(() => open(unwanted.signal)), holders: 0, unwanted };
    slots.set(key, slot);
    slot.value.catch(() => forget(key, slot));
    return slot;
  };

  return {
    get size() {
      return slots.size;
    },
    drop: (key) => void slots.delete(key),
    async acquire(key, open, signal) {
      const slot = slotOf(key, open);
      slot.holders++;
      let released: Promise<void> | undefined;
      const held = (): Promise<void> => (released ??= release(key, slot));
      try {
        return { value: await untilAborted(slot.value, signal), release: held };
      } catch (error) {
        // With the last holder, this waits until what was opened by then is undone.
        await held().catch(() => {});
        throw error;
      }
    },
  };
}

async function untilAborted<T>(value: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return value;
  if (signal.aborted) throw abortError(signal);
  let stop: () => void = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => reject(abortError(signal));
  });
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([value, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
