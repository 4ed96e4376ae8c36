import { programPath } from "../programs.ts";

/**
 * V8 lets the young part of its heap grow to 64 MiB a half where there is much short-lived garbage, which a busy cluster's watches are,
 * and never shrinks it: a daemon would hold 128 MiB more for what it had thrown away. Halves of 2 MiB cost no time that could be measured,
 * and are filled often enough for what passes through (a volume's bytes, outside of the heap) to be let go before V8 takes it for a reason to
 * collect the whole heap; halves of 1 MiB let live buffers grow old.
 */
const HEAP = ["--max-semi-space-size=2"];

/** The daemon's program, absolute, and its arguments. What this process was given for Node comes last, and counts. */
export function daemonCommand(...args: string[]): [program: string, ...args: string[]] {
  return [process.execPath, ...HEAP, ...process.execArgv, programPath("main"), ...args];
}
