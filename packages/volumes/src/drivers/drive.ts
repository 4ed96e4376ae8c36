import type { Duplex } from "node:stream";
import type { Logger, MountedVolume } from "@shipside/core";
import type { UnmountOptions } from "./unmount.ts";

/** A directory that a file server has, and where it goes, whichever program brings it. */
export interface DriveOptions {
  /** Shown by `mount` and `df` as `shipside:NAME`. */
  name: string;
  /** Absolute. It exists and is empty. */
  localPath: string;
  /** Absolute, as the server sees it. */
  remotePath: string;
  readOnly: boolean;
  /** See `VolumeMountRequest`. A mount has them over it, and needs not know. */
  inner?: readonly string[];
  /** A fresh SFTP stream: at first, and again after each time that it was lost. Rejecting fails what the file system was asked. */
  open(signal: AbortSignal): Promise<Duplex>;
  /** How long names and attributes may be out of date, in s. Default 2. */
  cacheSeconds?: number;
  signal: AbortSignal;
  logger: Logger;
}

/** Mounted as a file system: what is read and written here is read and written there. */
export interface Drive extends MountedVolume {
  /** Rejects with `VOLUMES_BUSY` where something uses it, and then it stays; `close` takes it off in any case. */
  unmount(options?: UnmountOptions): Promise<void>;
}
