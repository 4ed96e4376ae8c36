import { setTimeout as sleep } from "node:timers/promises";

export interface BackoffOptions {
  /** Bound of the first delay, in ms. */
  baseMs: number;
  /** Bound of every delay, in ms. */
  maxMs: number;
  random?: () => number;
}

/** Delays that double with each failure and are spread over the whole interval, so that many clients of one server don't come back at once. */
export interface Backoff {
  /** Milliseconds to wait before the next attempt: at least a tenth of the bound, at most the bound. */
  next(): number;
  reset(): void;
}

export function createBackoff({ baseMs, maxMs, random = Math.random }: BackoffOptions): Backoff {
  let failures = 0;
  return {
    next() {
      const bound = Math.min(maxMs, baseMs * 2 ** Math.min(failures++, 30));
      return bound * (0.1 + 0.9 * random());
    },
    reset() {
      failures = 0;
    },
  };
}

/** Resolves after `ms`, or early when `signal` fires. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
