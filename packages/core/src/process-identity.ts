import { execFile } from "node:child_process";
import { readFile, readlink } from "node:fs/promises";
import { codeOf } from "./errors.ts";
import { hasEnded, parseProcessStat } from "./process-stat.ts";

/**
 * A process named so that a later one can tell whether it still runs: `boot.namespace.pid.start`. A process id alone is given to
 * somebody else sooner or later; with the start time it isn't. "0" stands for what the platform doesn't tell.
 */
export type ProcessIdentity = string;

let self: Promise<ProcessIdentity> | undefined;

/** Names this process; asked once. */
export function identifySelf(): Promise<ProcessIdentity> {
  return (self ??= identify(process.pid));
}

/** Names a process that is known to run now, such as one's parent. */
export async function identify(pid: number): Promise<ProcessIdentity> {
  const start = (await inspect(pid)).start ?? "0";
  return `${await bootId()}.${await pidNamespace()}.${pid}.${start}`;
}

/** Undefined where it can't be told: it is of another process-id namespace, or isn't an identity at all. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean | undefined> {
  const [boot, namespace, pid, start] = identity.split(".");
  if (!boot || !namespace || !/^[1-9]\d*$/.test(pid ?? "") || !start) return undefined;
  const currentBoot = await bootId();
  if (boot !== "0" && currentBoot !== "0" && boot !== currentBoot) return false;
  if (namespace !== (await pidNamespace())) return undefined;
  if (!isPidTaken(Number(pid))) return false;
  const now = await inspect(Number(pid));
  if (now.ended) return false;
  return start === "0" || now.start === undefined || now.start === start;
}

/** Whether some process has it now: the one that was meant, a later one, or one that has ended and was not waited for. */
export function isPidTaken(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    if (codeOf(error) === "ESRCH") return false;
    // Another user's.
    if (codeOf(error) === "EPERM") return true;
    throw error;
  }
}

/** NaN of what is no identity. */
export const pidOf = (identity: ProcessIdentity): number => Number(identity.split(".")[2]);

/** A killed process whose parent has not yet taken note of it still has its id, but has `ended`. */
async function inspect(pid: number): Promise<{ start?: string; ended?: boolean }> {
  if (process.platform === "win32") return {};
  if (process.platform !== "linux") return inspectWithPs(pid);
  const stat = parseProcessStat(await readFile(`/proc/${pid}/stat`, "latin1").catch(() => ""));
  return stat ? { ended: hasEnded(stat), start: stat.start } : {};
}

/** For Unix systems without Linux's /proc: to the second, in UTC. */
export function inspectWithPs(pid: number): Promise<{ start?: string; ended?: boolean }> {
  return new Promise((resolve) => {
    const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
    execFile("ps", ["-o", "state=,lstart=", "-p", String(pid)], { env }, (_error, stdout) => {
      const [, state, started] = /^\s*(\S+)\s+(.+?)\s*$/.exec(stdout) ?? [];
      const start = Date.parse(`${started} UTC`);
      resolve(state && Number.isFinite(start) ? { ended: state.startsWith("Z"), start: String(start / 1000) } : {});
    });
  });
}

async function bootId(): Promise<string> {
  const id = await readFile("/proc/sys/kernel/random/boot_id", "latin1").catch(() => "");
  return id.slice(0, 8) || "0";
}

async function pidNamespace(): Promise<string> {
  const link = await readlink("/proc/self/ns/pid").catch(() => "");
  return /\d+/.exec(link)?.[0] ?? "0";
}
