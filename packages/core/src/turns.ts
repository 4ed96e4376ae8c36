/** Work on one thing, a piece at a time. */
export interface Turns {
  /** Runs it when all that was given before is over, whether that went well or not. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** True from the first call of `end()`; false again where that failed. */
  readonly ended: boolean;
  /** Runs the last piece, once: later calls share it. Where it failed, the next call runs it again. */
  end(work: () => Promise<void>): Promise<void>;
}

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  let ending: Promise<void> | undefined;
  const run: Turns["run"] = (work) => {
    const turn = last.then(work);
    last = turn.catch(() => {});
    return turn;
  };
  return {
    run,
    get ended() {
      return ending !== undefined;
    },
    end(work) {
      ending ??= run(work).catch((error) => {
        ending = undefined;
        throw error;
      });
      return ending;
    },
  };
}
