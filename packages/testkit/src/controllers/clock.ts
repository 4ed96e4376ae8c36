/** Time as the controllers see it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls `run` once, `ms` from now. Returns its undo. */
  after(ms: number, run: () => void): () => void;
}

/** A timer can't be set further ahead than this. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The machine's own. Its timers keep no process alive. */
export const systemClock: Clock = {
  now: Date.now,
  after(ms, run) {
    const timer = setTimeout(run, Math.min(ms, LONGEST_TIMER_MS)).unref();
    return () => clearTimeout(timer);
  },
};

/** As `metav1.Time` is written: whole seconds. */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
