/** A resource that several hold. It is opened for the first, and closed when the last lets go. */
export interface Shared<T> {
  /**
   * The value, opened now or shared. A failed opening is not kept: the next one tries again. `release` is idempotent, and resolves when
   * the value is closed if this was the last holder.
   */
  acquire(key: string, open: () => Promise<T>): Promise<{ value: T; release(): Promise<void> }>;
  /** The values held now. */
  readonly size: number;
}

/** Resources by key, counted by their holders. An opening waits for a closing of the same key: the two never overlap. */
export function createShared<T extends { close(): Promise<void> }>(): Shared<T> {
  interface Slot {
    value: Promise<T>;
    holders: number;
  }
  const slots = new Map<string, Slot>();
  const closing = new Map<string, Promise<void>>();

  const release = async (key: string, slot: Slot): Promise<void> => {
    if (--slot.holders > 0) return;
    if (slots.get(key) === slot) slots.delete(key);
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

  return {
    get size() {
      return slots.size;
    },
    async acquire(key, open) {
      let slot = slots.get(key);
      if (!slot) {
        const before = closing.get(key);
        slot = { value: before ? before.then(open) : open(), holders: 0 };
        slots.set(key, slot);
        slot.value.catch(() => {
          if (slots.get(key) === slot) slots.delete(key);
        });
      }
      const held = slot;
      held.holders++;
      const value = await held.value.catch((error: unknown) => {
        held.holders--;
        throw error;
      });
      let released: Promise<void> | undefined;
      return { value, release: () => (released ??= release(key, held)) };
    },
  };
}
