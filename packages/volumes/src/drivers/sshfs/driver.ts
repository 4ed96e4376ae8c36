import type { VolumeDriver } from "@shipside/core";
import { type ClaimDriverOptions, claimDriver } from "../claims/driver.ts";
import { missingForSshfs, mountSshfs } from "./mount.ts";

/** Mounts PersistentVolumeClaims (and ephemeral volumes) for reading and writing, by sshfs. Relay and codes: see {@link ClaimDriverOptions}. */
export function sshfsDriver(options: ClaimDriverOptions): VolumeDriver {
  return { ...claimDriver(options, { name: "sshfs", unavailable: missingForSshfs, mount: mountSshfs }), mounts: true };
}
