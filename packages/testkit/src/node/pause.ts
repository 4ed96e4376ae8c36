/** Resolves after `ms`, or at once when `signal` aborts or `wake` does; never rejects. True where the time passed. */
export function pause(ms: number, signal: AbortSignal, wake?: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(false);
    const end = (passed: boolean): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      resolve(passed);
    };
    const aborted = (): void => end(false);
    const timer = setTimeout(end, ms, true);
    signal.addEventListener("abort", aborted, { once: true });
    void wake?.then(() => end(false));
  });
}
