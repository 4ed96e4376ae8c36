import { programPath } from "../programs.ts";

/**
 * V8 lets the young part of its heap grow to 64 MiB a half where there is much short-lived garbage, which a busy cluster's watches are,
 * and never shrinks it: a daemon would hold 128 MiB more for what it had thrown away. Halves of 2 MiB cost no time that could be measured;
 * halves of 1 MiB let live buffers grow old. `gc` is there for whoever carries a volume's bytes, which lie outside of the heap: they let them go
 * before V8 takes them for a reason to collect the whole heap.
 */
const HEAP = ["--max-semi-space-size=2", "--expose-gc"];

/** The daemon's program, absolute, and its arguments. What this process was given for Node comes last, and counts. */
export function daemonCommand(...args: string[]): [program: string, ...args: string[]] {
  return [process.execPath, ...HEAP, ...process.execArgv, programPath("main"), ...args];
}
