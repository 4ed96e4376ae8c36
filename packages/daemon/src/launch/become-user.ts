import { readFileSync } from "node:fs";
import { codeOf } from "@shipside/core";
import { daemonError } from "../errors.ts";
import type { UserIds } from "./request.ts";

/** As of Node 24, missing from its type declarations. */
const { initgroups } = process as unknown as { initgroups(user: number | string, extraGroup: number | string): void };

/**
 * Makes this process the user's for good: supplementary groups as at a login (`spawn({ uid, gid })` leaves none), group, user, umask 077.
 * Throws `LAUNCH_FAILED`, also where it could still go back; the process must end then.
 */
export function becomeUser({ uid, gid }: UserIds): void {
  try {
    try {
      initgroups(uid, gid);
    } catch (error) {
      // A uid that no user database knows has no groups but the given one.
      if (codeOf(error) !== "ERR_UNKNOWN_CREDENTIAL") throw error;
      process.setgroups!([gid]);
    }
    process.setgid!(gid);
    process.setuid!(uid);
  } catch (cause) {
    throw daemonError("LAUNCH_FAILED", `could not become uid ${uid}, gid ${gid}: ${(cause as Error).message}`, { cause });
  }
  const why = wayBack({ uid, gid });
  if (why !== undefined) throw daemonError("LAUNCH_FAILED", `the daemon would not be uid ${uid} alone: ${why}`);
  process.umask(0o077);
}

/** What of root's rights is left, or undefined. setuid(2) of root sets the saved ids too, and clears every capability. */
function wayBack({ uid, gid }: UserIds): string | undefined {
  if (process.getuid!() !== uid || process.geteuid!() !== uid) return "the user id did not change";
  if (process.getgid!() !== gid || process.getegid!() !== gid) return "the group id did not change";
  const attempts: Array<readonly [string, () => void]> = [
    ["setuid(0)", () => process.setuid!(0)],
    ["seteuid(0)", () => process.seteuid!(0)],
    ["setgroups", () => process.setgroups!([gid])],
  ];
  if (gid !== 0) attempts.push(["setgid(0)", () => process.setgid!(0)]);
  for (const [name, attempt] of attempts) {
    try {
      attempt();
      return `${name} is still allowed`;
    } catch (error) {
      if (codeOf(error) !== "EPERM") return `${name} ended with ${(error as Error).message}`;
    }
  }
  if (process.platform !== "linux") return undefined;
  // capabilities(7): securebits can make setuid keep them.
  const [, held] = /^CapPrm:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1")) ?? [];
  return held !== undefined && /^0+$/.test(held) ? undefined : `capabilities ${held} are kept`;
}
