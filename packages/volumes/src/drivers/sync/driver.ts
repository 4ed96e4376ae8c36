import type { VolumeDriver } from "@shipside/core";
import { type ClaimDriverOptions, claimDriver } from "../claims/driver.ts";
import { mountSync, type SyncMountOptions } from "./mount.ts";

/** As of the drivers that mount, and what is let alone. */
export interface SyncOptions extends Omit<ClaimDriverOptions, "cacheSeconds">, Pick<SyncMountOptions, "ignore" | "everyMs"> {
  /** Told while the first copy of a volume is made: how many files of how many, and bytes. */
  onProgress?(name: string, progress: Parameters<NonNullable<SyncMountOptions["onProgress"]>>[0]): void;
  /** `VOLUMES_SYNC_CONFLICT`, once for all that a round finds; `VOLUMES_SYNC_PENDING` for what can't be brought, or not now. */
  onWarning?: SyncMountOptions["onWarning"];
}

/**
 * Brings PersistentVolumeClaims (and ephemeral volumes) as a copy that is kept the same as the volume, both ways, without any help of the kernel.
 * Relay and codes: see {@link ClaimDriverOptions}; besides `VOLUMES_SYNC_PENDING` when it is closed.
 */
export function syncDriver({ ignore, everyMs, onProgress, onWarning, ...options }: SyncOptions): VolumeDriver {
  return {
    ...claimDriver(options, {
      name: "sync",
      unavailable: async () => undefined,
      mount: (wanted) =>
        mountSync({
          ...wanted,
          ...(ignore && { ignore }),
          ...(everyMs !== undefined && { everyMs }),
          ...(onWarning && { onWarning }),
          ...(onProgress && { onProgress: (progress) => onProgress(wanted.name, progress) }),
        }),
    }),
    onlyByName: true,
  };
}
