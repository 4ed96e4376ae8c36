import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { type Check, ok, problem, warning } from "../check.ts";
import type { DoctorContext } from "../context.ts";

/** A service takes a listener for each port, a connection two sockets: 100 services in use come to about this. */
const COMFORTABLE = 1_024;
const TIGHT = 256;

/** How many files and sockets this user's processes may have open. */
export const fileLimit: Check = {
  id: "file-limit",
  title: "open files",
  async run(context, signal) {
    const limit = await readLimit(context, signal);
    if (limit === undefined) return [];
    const text = `at most ${limit === Number.POSITIVE_INFINITY ? "any number" : limit} for each process`;
    const details = { limit: Number.isFinite(limit) ? limit : null };
    const hint = `raise it before starting shipside: ulimit -n ${COMFORTABLE * 4}`;
    if (limit < TIGHT) return [problem(`${text}: too few for the services of a namespace`, hint, details)];
    if (limit < COMFORTABLE) return [warning(`${text}: many services, or many connections, run out of them`, hint, details)];
    return [ok(text, details)];
  },
};

/** Of this process, which has raised its soft limit to the hard one, as Node does. */
async function readLimit({ platform, file }: DoctorContext, signal: AbortSignal): Promise<number | undefined> {
  if (platform === "win32") return undefined;
  if (platform === "linux") {
    const limits = await readFile(file("/proc/self/limits"), "utf8").catch(() => "");
    const [, soft] = /^Max open files\s+(\S+)/m.exec(limits) ?? [];
    return soft === undefined ? undefined : toNumber(soft);
  }
  const { stdout } = await promisify(execFile)("/bin/sh", ["-c", "ulimit -n"], { signal });
  return toNumber(stdout.trim());
}

const toNumber = (text: string): number => (text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text));
