import type { Logger } from "@shipside/core";

export interface Refresher {
  /** Why the last refresh failed; undefined where it didn't. */
  readonly failure: Error | undefined;
  /** Asks for a refresh soon; many requests become one. */
  request(): void;
  /** Resolves when what is under way has ended; nothing begins after that. */
  close(): Promise<void>;
}

export interface RefresherOptions {
  refresh(): Promise<void>;
  /** Told once a row of failures; it is tried again by itself. */
  onFailure(error: Error): void;
  logger: Logger;
  /** In ms. */
  gatherMs?: number;
  retryMs?: { first: number; most: number };
}

/** Runs `refresh` when it is asked for, one at a time, and after a failure again with growing pauses. */
export function openRefresher(options: RefresherOptions): Refresher {
  const { refresh, onFailure, logger, gatherMs = 50, retryMs = { first: 1_000, most: 30_000 } } = options;
  let closed = false;
  let running: Promise<void> | undefined;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  let wait = retryMs.first;
  let failure: Error | undefined;

  const schedule = (delay: number): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      running = run();
    }, delay);
    timer.unref();
  };
  const run = async (): Promise<void> => {
    let delay: number | undefined;
    try {
      await refresh();
      wait = retryMs.first;
      failure = undefined;
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      if (!closed) {
        logger.warn("volumes could not be brought up to date", { error: error.message });
        if (!failure) onFailure(error);
        failure = error;
        delay = wait;
        wait = Math.min(wait * 2, retryMs.most);
      }
    }
    running = undefined;
    if (again) delay = gatherMs;
    again = false;
    if (delay !== undefined && !closed) schedule(delay);
  };
  return {
    get failure() {
      return failure;
    },
    request() {
      if (closed) return;
      if (running) again = true;
      else schedule(gatherMs);
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
