import { setImmediate as turn } from "node:timers/promises";
import { ShipsideError } from "@shipside/core";
import { type EndingSignal, SIGNAL_EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";

/** SIGINT, SIGTERM and SIGHUP, turned into an orderly end. */
export interface Interrupt extends Disposable {
  /** Fires with the first signal (code `ABORTED`). */
  readonly signal: AbortSignal;
  /** The first signal. */
  readonly by: EndingSignal | undefined;
  /** 128 + n of the first signal; 0 where none came. */
  readonly exitCode: number;
  /** Resolves with the first signal. */
  readonly came: Promise<void>;
  /**
   * Hands signals on instead, for as long as a child decides what they mean. Returns its undo, for when the child has ended: that hands on
   * what came by then, and what comes later finds a clean-up under way, as a second signal does.
   */
  divert(take: (signal: EndingSignal) => void): () => Promise<void>;
}

/**
 * The first signal ends what is under way, the second is answered, the third ends the process at once: what is left then stands in the
 * journal.
 */
export function createInterrupt(terminal: Pick<Terminal, "warn">, exit: (code: number) => void = process.exit): Interrupt {
  const abort = new AbortController();
  let by: EndingSignal | undefined;
  let count = 0;
  let divert: ((signal: EndingSignal) => void) | undefined;
  let onCame: () => void = () => {};
  const came = new Promise<void>((resolve) => {
    onCame = resolve;
  });

  const handlers = (Object.keys(SIGNAL_EXIT) as EndingSignal[]).map((name) => {
    const handler = (): void => {
      if (divert) {
        divert(name);
        return;
      }
      count++;
      if (count === 1) {
        by = name;
        abort.abort(new ShipsideError("ABORTED", `ended by ${name}`));
        onCame();
      } else if (count === 2) {
        terminal.warn("still cleaning up; once more ends at once, and leaves the rest to `shipside clean`");
      } else exit(SIGNAL_EXIT[name]);
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });

  return {
    signal: abort.signal,
    get by() {
      return by;
    },
    get exitCode() {
      return by ? SIGNAL_EXIT[by] : 0;
    },
    came,
    divert(take) {
      divert = take;
      return async () => {
        // Of all that has come in a turn, Node is told of signals last: of the child's end before the Ctrl-C that led to it.
        await turn();
        divert = undefined;
        count = Math.max(count, 1);
      };
    },
    [Symbol.dispose]() {
      for (const off of handlers) off();
    },
  };
}
