import { setTimeout as sleep } from "node:timers/promises";

/** The promise's own outcome, or an error that says what didn't happen in time. */
export async function inTime<T>(promise: Promise<T>, what: string, ms = 5000): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).then(
    () => {
      throw new Error(`${what}: not within ${ms} ms`);
    },
    () => undefined as never,
  );
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

/** The `code` of what a promise rejects with. Throws where it resolves. */
export async function rejection(promise: Promise<unknown>, what: string): Promise<string | undefined> {
  try {
    await inTime(promise, what);
  } catch (error) {
    return (error as { code?: string }).code;
  }
  throw new Error(`${what}: resolved`);
}
