export interface BackoffOptions {
  /** Milliseconds before the second try. */
  baseMs: number;
  /** No wait is longer. */
  maxMs: number;
}

export interface Backoff {
  /** The wait before the next try, in milliseconds: 0, base, 2·base, … A run of at least `2·maxMs` starts over. */
  next(ranMs: number): number;
}

/** The kubelet's back-off for restarts: the first is at once, each later one waits twice as long. */
export function createBackoff({ baseMs, maxMs }: BackoffOptions): Backoff {
  let wait = 0;
  return {
    next(ranMs) {
      if (ranMs >= 2 * maxMs) wait = 0;
      const now = wait;
      wait = Math.min(maxMs, wait === 0 ? baseMs : wait * 2);
      return now;
    },
  };
}
