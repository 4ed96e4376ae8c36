import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { hasEnded, parseProcessStat } from "@shipside/core";

/** Its processes, of all generations: each before those below it. */
export function below(pid: number): number[] {
  const parents = readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [[Number(name), parseProcessStat(readFileSync(`/proc/${name}/stat`, "latin1"))?.parent] as const];
    } catch {
      return [];
    }
  });
  const children = (of: number): number[] =>
    parents.flatMap(([child, parent]) => (parent === of ? [child, ...children(child)] : []));
  return children(pid);
}

/** With a space after each word; empty where it has ended. */
export function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return "";
  }
}

/** A process that has ended and that nobody has waited for doesn't count. */
export async function alive(pid: number): Promise<boolean> {
  const stat = parseProcessStat(await readFile(`/proc/${pid}/stat`, "latin1").catch(() => ""));
  return stat !== undefined && !hasEnded(stat);
}
