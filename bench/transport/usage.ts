import { readdirSync, readFileSync } from "node:fs";
import { type ProcessStat, parseProcessStat } from "@shipside/core";

/** Clock ticks a second, as every Linux has them for user space (`getconf CLK_TCK`). */
const TICKS = 100;

/** A process and what it started: kubectl may be a script or a dispatcher. */
function family(root: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    const stat = statOf(pid);
    if (stat) parents.set(pid, stat.parent);
  }
  const found = [root];
  for (let at = 0; at < found.length; at++) for (const [pid, parent] of parents) if (parent === found[at]) found.push(pid);
  return found;
}

/** CPU seconds used so far, user and system; NaN where the system has no /proc. */
export function cpuSeconds(pid: number): number {
  return sum(pid, (one) => (statOf(one)?.cpuTicks ?? 0) / TICKS);
}

/** Resident memory now, in MiB; NaN where the system has no /proc. */
export function residentMiB(pid: number): number {
  return sum(pid, (one) => Number(/^VmRSS:\s+(\d+)/m.exec(read(`/proc/${one}/status`) ?? "")?.[1] ?? 0) / 1024);
}

function sum(pid: number, of: (pid: number) => number): number {
  if (read("/proc/self/stat") === undefined) return Number.NaN;
  return family(pid).reduce((total, one) => total + of(one), 0);
}

const statOf = (pid: number): ProcessStat | undefined => parseProcessStat(read(`/proc/${pid}/stat`) ?? "");

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
