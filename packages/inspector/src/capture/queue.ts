/** What waits to be looked at. Putting something in costs the traffic a push on an array; the work is done in turns of its own. */
export interface WorkQueue {
  /** False where `bytes` don't fit any more: the work is not kept. */
  push(bytes: number, work: () => void): boolean;
  /** Work that is done whatever waits: it must hold no bytes. */
  pushAlways(work: () => void): void;
  /** Resolves once all that waits now is done. */
  settled(): Promise<void>;
  /** Forgets what waits. */
  clear(): void;
}

/** How long a turn may take before the traffic comes first again, in ms. */
const TURN_MS = 4;

export function createWorkQueue(maxBytes: number, now: () => number = () => performance.now()): WorkQueue {
  let waiting: { bytes: number; work: () => void }[] = [];
  let at = 0;
  let queued = 0;
  let scheduled = false;
  const settled: (() => void)[] = [];

  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    setImmediate(turn);
  };
  const turn = (): void => {
    scheduled = false;
    const until = now() + TURN_MS;
    while (at < waiting.length) {
      const { bytes, work } = waiting[at++]!;
      queued -= bytes;
      work();
      if (now() >= until) break;
    }
    // Shifting each one off would copy the rest.
    if (at > 1024 || at >= waiting.length) {
      waiting = waiting.slice(at);
      at = 0;
    }
    if (waiting.length > at) schedule();
    else for (const resolve of settled.splice(0)) resolve();
  };

  return {
    push(bytes, work) {
      if (queued + bytes > maxBytes) return false;
      queued += bytes;
      waiting.push({ bytes, work });
      schedule();
      return true;
    },
    pushAlways(work) {
      waiting.push({ bytes: 0, work });
      schedule();
    },
    settled: () => (scheduled ? new Promise((resolve) => settled.push(resolve)) : Promise.resolve()),
    clear() {
      waiting = [];
      at = 0;
      queued = 0;
      for (const resolve of settled.splice(0)) resolve();
    },
  };
}
