import { abortError } from "@shipside/core";

export interface HedgeOptions<T> {
  /** Another attempt is started where the last one has given no answer for so long, in ms. */
  everyMs: number;
  /** Attempts under way at once; the oldest is given up for a new one. */
  atMost: number;
  signal: AbortSignal;
  /** Gets rid of the result of an attempt that came second. */
  discard(result: T): void;
}

/**
 * Tries again while an attempt hangs, and takes whichever answers first. A connection asked for while the network was away waits for
 * TCP's retransmission, which backs off to many seconds; a fresh one gets through as soon as there is a way. The first failure ends
 * all, for it is an answer.
 */
export function hedged<T>(attempt: (signal: AbortSignal) => Promise<T>, options: HedgeOptions<T>): Promise<T> {
  const { everyMs, atMost, signal, discard } = options;
  return new Promise((resolve, reject) => {
    const running: AbortController[] = [];
    let settled = false;

    const settle = (tell: () => void): void => {
      settled = true;
      clearInterval(timer);
      signal.removeEventListener("abort", aborted);
      for (const controller of running) controller.abort();
      tell();
    };
    const aborted = (): void => {
      if (!settled) settle(() => reject(abortError(signal)));
    };
    const start = (): void => {
      if (running.length >= atMost) running.shift()?.abort();
      const controller = new AbortController();
      running.push(controller);
      const over = (): boolean => {
        const at = running.indexOf(controller);
        if (at >= 0) running.splice(at, 1);
        return settled || at < 0;
      };
      attempt(controller.signal).then(
        (result) => {
          if (over()) discard(result);
          else settle(() => resolve(result));
        },
        (error) => {
          if (!over()) settle(() => reject(error));
        },
      );
    };
    const timer = setInterval(start, everyMs);
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) aborted();
    else start();
  });
}
