import type { Closable } from "../closer.ts";
import type { Logger } from "../logger.ts";
import type { PodRef } from "./dialer.ts";

export interface VolumeMountRequest {
  /** The volume's name in the pod spec. */
  volume: string;
  /** Absolute path in `pod` where the files are. */
  remotePath: string;
  /** Inside the volume, where the container mounts a part of it, with what a `subPathExpr` stands for. Default: as the pod's spec says. */
  subPath?: string;
  /** Which container of `pod` has `remotePath`. Default: the pod's default one. */
  container?: string;
  /** Absolute local directory; it exists and is empty. */
  localPath: string;
  readOnly: boolean;
  /** Below `localPath`, where other volumes are mounted afterwards: what is there is none of this one's. */
  inner?: readonly string[];
  pod: PodRef;
  signal: AbortSignal;
}

/** A volume on the local machine. `close` writes back what is pending before it unmounts. */
export interface MountedVolume extends Closable {
  readonly localPath: string;
}

/** Brings one volume of a pod to a local directory. */
export interface VolumeDriver {
  readonly name: string;
  /** Its files are a copy, which is never written back, and may be deleted when the process that made it is gone. Default: a mount. */
  readonly copies?: true;
  /** It mounts a file system of its own at `localPath`: of use where mounts are seen. */
  readonly mounts?: true;
  /** Taken where it is asked for by its name: `auto` passes it by. */
  readonly onlyByName?: true;
  /** The volume sources that it can bring, by their field in the API: `persistentVolumeClaim`. Default: any. */
  readonly kinds?: readonly string[];
  /** Why this driver can't work on this machine, or undefined where it can. */
  unavailable(): Promise<string | undefined>;
  mount(request: VolumeMountRequest, components: { logger: Logger }): Promise<MountedVolume>;
}
