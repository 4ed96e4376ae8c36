import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import type { VolumeDriver } from "@shipside/core";
import { type ClaimDriverOptions, claimDriver } from "../claims/driver.ts";
import { missingForMounts } from "../missing.ts";
import { FUSERMOUNT_PROGRAMS } from "./fusermount.ts";
import { type Enter, mountFuse, mountsItself } from "./mount.ts";

export interface FuseDriverOptions extends ClaimDriverOptions {
  /** Where drives are mounted, and where alone they are seen: a mount namespace, as the root of its user namespace. Default: here. */
  enter?: Enter;
}

/**
 * Mounts PersistentVolumeClaims (and ephemeral volumes) for reading and writing, by a FUSE server of our own. Root, be it that of a user namespace,
 * mounts by itself; others by fusermount3. Relay and codes: see {@link ClaimDriverOptions}.
 */
export function fuseDriver({ enter, ...options }: FuseDriverOptions): VolumeDriver {
  if (!enter) return { ...claimDriver(options, { name: "fuse", unavailable: missingForFuse, mount: mountFuse }), mounts: true };
  return claimDriver(options, {
    name: "fuse",
    unavailable: () => missingInside(enter),
    mount: (drive) => mountFuse({ ...drive, enter }),
  });
}

/** What is missing on this machine, in words; undefined where nothing is. */
export async function missingForFuse(): Promise<string | undefined> {
  if (process.platform !== "linux") return "it is of Linux alone";
  if (!mountsItself()) return missingForMounts(FUSERMOUNT_PROGRAMS);
  if (!(await mayMount())) return "root may not mount here (in a container, add the capability SYS_ADMIN)";
  return missingForMounts({ mount: "mount" });
}

/** The same for mounts in a user namespace, which kernels allow from 4.18 on: older ones have no Node of today's. */
async function missingInside(enter: Enter): Promise<string | undefined> {
  const missing = await missingForMounts({ mount: "mount" });
  if (missing !== undefined) return missing;
  // A container may have the device, and not let it be opened.
  const [program = "", ...args] = enter(["sh", "-c", ": <> /dev/fuse"]);
  return promisify(execFile)(program, args).then(
    () => undefined,
    ({ stderr, message }: Error & { stderr?: string }) =>
      `/dev/fuse can't be opened in the namespaces: ${stderr?.trim() || message}`,
  );
}

const CAP_SYS_ADMIN = 1n << 21n;

/** capabilities(7). */
async function mayMount(): Promise<boolean> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${effective}`) & CAP_SYS_ADMIN) !== 0n;
}
