import type { Clock } from "./clock.ts";

export interface WorkQueue {
  /** Reconciles `key` soon; keys that are waiting already are not added twice. */
  add(key: string): void;
  /** The same, `ms` from now, or earlier where an earlier time was asked for. */
  addAfter(key: string, ms: number): void;
  close(): void;
}

/** After this long the event loop gets its turn, in ms. */
const SLICE_MS = 10;
const FIRST_RETRY_MS = 5;
const LONGEST_RETRY_MS = 30_000;

/**
 * Keys to reconcile, each at most once at a time: changes that come together are handled together. A key whose reconciling fails is
 * tried again, later each time.
 */
export function createWorkQueue(
  clock: Clock,
  reconcile: (key: string) => void,
  failed: (key: string, error: unknown) => void,
): WorkQueue {
  const waiting = new Set<string>();
  const later = new Map<string, { at: number; cancel: () => void }>();
  const failures = new Map<string, number>();
  let immediate: NodeJS.Immediate | undefined;
  let closed = false;

  const work = (): void => {
    immediate = undefined;
    const until = performance.now() + SLICE_MS;
    for (const key of waiting) {
      waiting.delete(key);
      try {
        reconcile(key);
        failures.delete(key);
      } catch (error) {
        const count = failures.get(key) ?? 0;
        failures.set(key, count + 1);
        failed(key, error);
        queue.addAfter(key, Math.min(FIRST_RETRY_MS * 2 ** count, LONGEST_RETRY_MS));
      }
      if (closed || performance.now() > until) break;
    }
    if (waiting.size > 0) schedule();
  };
  const schedule = (): void => {
    if (!closed) immediate ??= setImmediate(work);
  };

  const queue: WorkQueue = {
    add(key) {
      waiting.add(key);
      schedule();
    },
    addAfter(key, ms) {
      if (closed) return;
      const at = clock.now() + ms;
      const before = later.get(key);
      if (before && before.at <= at) return;
      before?.cancel();
      const cancel = clock.after(ms, () => {
        later.delete(key);
        queue.add(key);
      });
      later.set(key, { at, cancel });
    },
    close() {
      closed = true;
      waiting.clear();
      clearImmediate(immediate);
      for (const { cancel } of later.values()) cancel();
      later.clear();
    },
  };
  return queue;
}
