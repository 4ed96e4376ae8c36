/** Calls `over` once when nobody has been there for `ms`, counted from the beginning. */
export interface Grace {
  /** Whether somebody is there now. */
  set(present: boolean): void;
  stop(): void;
}

export function graceTimer(ms: number, over: () => void): Grace {
  let timer: NodeJS.Timeout | undefined = setTimeout(over, ms);
  return {
    set(present) {
      clearTimeout(timer);
      timer = present ? undefined : setTimeout(over, ms);
    },
    stop: () => clearTimeout(timer),
  };
}
