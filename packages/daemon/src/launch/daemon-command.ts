import { programPath } from "../programs.ts";

/**
 * V8 lets the young part of its heap grow to 64 MiB a half where there is much short-lived garbage, which a busy cluster's watches are,
 * and never shrinks it: a daemon would hold 128 MiB more for what it had thrown away. Halves of 4 MiB cost no time that could be measured.
 */
const HEAP = ["--max-semi-space-size=4"];

/** The daemon's program, absolute, and its arguments. What this process was given for Node comes last, and counts. */
export function daemonCommand(...args: string[]): [program: string, ...args: string[]] {
  return [process.execPath, ...HEAP, ...process.execArgv, programPath("main"), ...args];
}
