import { constants } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { hasCode, type VolumeDriver } from "@shipside/core";
import { type ClaimDriverOptions, claimDriver } from "../claims/driver.ts";
import { findProgram } from "../find-program.ts";
import { mountFuse } from "./mount.ts";

/**
 * Mounts PersistentVolumeClaims (and ephemeral volumes) for reading and writing, by a FUSE server of our own: no program
 * has to be installed, but it takes root, be it that of a user namespace. Relay and codes: see {@link ClaimDriverOptions}.
 */
export function fuseDriver(options: ClaimDriverOptions): VolumeDriver {
  return { ...claimDriver(options, { name: "fuse", unavailable: missingForFuse, mount: mountFuse }), mounts: true };
}

/** What keeps this process from mounting by itself, in words; undefined where nothing does. */
export async function missingForFuse(): Promise<string | undefined> {
  if (process.platform !== "linux") return "it is of Linux alone";
  // For others fusermount3 opens the device, and hands it over in a way that Node has no ear for.
  if (process.geteuid?.() !== 0) return "only root may mount without the help of another program";
  if (!(await mayMount())) return "root may not mount here (in a container, add the capability SYS_ADMIN)";
  if (!(await findProgram("mount"))) return "this machine lacks the program mount (install the package mount, or util-linux)";
  const error = await access("/dev/fuse", constants.R_OK | constants.W_OK).then(
    () => undefined,
    (refused: Error) => refused,
  );
  if (!error) return undefined;
  if (hasCode(error, "ENOENT"))
    return "this machine lacks /dev/fuse (load the kernel module fuse; in a container, hand in the device)";
  return "this machine lacks the right to open /dev/fuse";
}

const CAP_SYS_ADMIN = 1n << 21n;

/** capabilities(7). */
async function mayMount(): Promise<boolean> {
  const status = await readFile("/proc/self/status", "utf8").catch(() => "");
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0";
  return (BigInt(`0x${effective}`) & CAP_SYS_ADMIN) !== 0n;
}
