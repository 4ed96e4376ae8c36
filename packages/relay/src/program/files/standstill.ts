import { statfsSync } from "node:fs";
import { bytesOf } from "./confine.ts";

export interface StandstillOptions {
  /** Directories that may be on a volume that stands still. */
  roots: readonly string[];
  /** Having stood still for longer, in ms, whoever asked before has given up. */
  patienceMs: number;
  /** Called once. */
  onGivenUp(): void;
}

export interface Standstill {
  /** Whether this process stood still for so long; nothing that was asked before may be done then. To be asked before each thing is done. */
  check(): boolean;
  /** What a thread does meanwhile. */
  during<T>(work: Promise<T>): Promise<T>;
  stop(): void;
}

/** How often it is looked, and how long a thread may be at work until the volume is asked whether it lives, in ms. */
const LOOK_MS = 500;

/**
 * Where a volume stands still (a server of NFS is away), so does the process that waits for it, its link ends, and what was asked is told to have
 * failed: it must not be done when the volume lives again, over what is newer. A thread that waits would leave the process going, and whoever
 * asked waiting for ever: so that the process asks the volume as well while a thread is at work. One that is merely slow answers that.
 */
export function watchStandstill({ roots, patienceMs, onGivenUp }: StandstillOptions): Standstill {
  let turned = performance.now();
  let began: number | undefined;
  let givenUp = false;

  const check = (): boolean => {
    if (givenUp || performance.now() - turned <= patienceMs) return givenUp;
    givenUp = true;
    onGivenUp();
    return true;
  };
  const ask = (root: string): void => {
    try {
      statfsSync(bytesOf(root));
    } catch {
      // An error is an answer.
    }
  };
  const timer = setInterval(() => {
    if (check()) return;
    turned = performance.now();
    if (began === undefined || turned - began < LOOK_MS) return;
    roots.forEach(ask);
    check();
  }, LOOK_MS);
  timer.unref();

  return {
    check,
    async during(work) {
      began = performance.now();
      try {
        return await work;
      } finally {
        began = undefined;
      }
    },
    stop: () => clearInterval(timer),
  };
}
