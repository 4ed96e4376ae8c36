/** What everything that opens something returns. `close()` is idempotent, ordered and awaited. */
export interface Closable extends AsyncDisposable {
  close(): Promise<void>;
}

export interface Closer extends Closable {
  /** True from the first call of `close()`. */
  readonly closing: boolean;
  /**
   * Registers an undo step, run in the reverse order of registration. Returns a function that runs this one step now and takes it
   * off the list. What is registered while closing is undone before `close()` resolves, and at once when that is over.
   */
  defer(undo: () => unknown): () => Promise<void>;
  /** Registers `resource.close()` and returns the resource. */
  use<T extends { close(): unknown }>(resource: T): T;
}

/**
 * Undo steps, last in first out, one at a time. A step that fails doesn't keep the others from running; what failed is thrown at
 * the end (one error as it is, several as an AggregateError).
 */
export function createCloser(): Closer {
  type Step = () => Promise<void>;
  const steps: Step[] = [];
  let closing = false;
  let done = false;
  let closed: Promise<void> | undefined;

  const run = async (): Promise<void> => {
    closing = true;
    const errors: unknown[] = [];
    for (let step = steps.pop(); step; step = steps.pop()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    done = true;
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} steps of closing failed`);
  };

  const closer: Closer = {
    get closing() {
      return closing;
    },
    defer(undo) {
      let ran: Promise<void> | undefined;
      const step: Step = () => (ran ??= (async () => void (await undo()))());
      const now = (): Promise<void> => {
        const at = steps.indexOf(step);
        if (at >= 0) steps.splice(at, 1);
        return step();
      };
      steps.push(step);
      // Too late for the loop of `close()`; whoever wants to know awaits the returned function.
      if (done) void now().catch(() => {});
      return now;
    },
    use(resource) {
      closer.defer(() => resource.close());
      return resource;
    },
    close: () => (closed ??= run()),
    [Symbol.asyncDispose]: () => closer.close(),
  };
  return closer;
}
