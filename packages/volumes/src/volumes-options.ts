import type { Logger, VolumeDriver } from "@shipside/core";
import type { Cluster, Workload } from "@shipside/kube";
import { snapshotDriver } from "./drivers/snapshot.ts";
import { volumesError } from "./errors.ts";
import type { OpenVolume, VolumeObstacle } from "./volumes.ts";

export interface OpenVolumesOptions {
  /** `deployment/core`, `deploy core`, a bare name, or what `resolveWorkload` gave. */
  workload: string | Workload;
  /** Default the cluster's own. */
  namespace?: string;
  /** A directory that is empty or doesn't exist. Each volume appears below it at the container's own mount path. */
  dir: string;
  /** Default: the one that `kubectl.kubernetes.io/default-container` names, else the first. May be an init container. */
  container?: string;
  /** Names of volumes, or mount paths. Default all. */
  only?: readonly string[];
  /** For what isn't written from the API: persistentVolumeClaim, ephemeral, and the emptyDirs of a running pod. Of several, the first that brings the kind. Default: those are left out. */
  driver?: "snapshot" | VolumeDriver | readonly VolumeDriver[];
  /** Whose emptyDirs: `spec`, the default, one's own, empty as in a new pod; `running`, those of the pod that runs, by a driver. */
  from?: "spec" | "running";
  /** Nothing is written back, whatever the pod spec allows. */
  readOnly?: boolean;
  /** Stands in the directory while it is in use: by it `clearVolumes` knows what a process that was killed left. */
  owner?: string;
  /** The container's environment, for `subPathExpr`. */
  env?: Readonly<Record<string, string>>;
  /** A volume's files have been replaced. */
  onChange?: (volume: OpenVolume) => void;
  /** Something can't be brought, or brought up to date, from now on. Not called for what `openVolumes` itself returns. */
  onObstacle?: (obstacle: VolumeObstacle) => void;
  signal?: AbortSignal;
  logger?: Logger;
}

export const driversOf = (given: OpenVolumesOptions["driver"], cluster: Cluster): readonly VolumeDriver[] =>
  given === undefined ? [] : given === "snapshot" ? [snapshotDriver({ cluster })] : "mount" in given ? [given] : given;

/** Throws `VOLUMES_OPTION_INVALID`. */
export function checkOptions({ workload, dir, only, driver, from }: OpenVolumesOptions): void {
  const bad = (what: string, hint: string): Error => volumesError("VOLUMES_OPTION_INVALID", `openVolumes: ${what}`, { hint });
  if (typeof workload !== "string" && typeof workload?.podSpec !== "object")
    throw bad("`workload` names no workload", "give kind/name, for example deployment/core");
  if (typeof dir !== "string" || dir === "" || dir.includes("\0")) throw bad("`dir` is not a path", "give a directory");
  if (only !== undefined && !(Array.isArray(only) && only.every((name) => typeof name === "string")))
    throw bad("`only` is not a list of names", 'give names of volumes or mount paths: ["config", "/data"]');
  if (from !== undefined && from !== "spec" && from !== "running")
    throw bad("`from` is neither spec nor running", "leave it out for emptyDirs of this machine's own");
  const drivers = Array.isArray(driver) ? driver : driver === undefined || driver === "snapshot" ? [] : [driver];
  if (drivers.some((each) => typeof each?.mount !== "function"))
    throw bad("`driver` is no driver", 'give "snapshot", a VolumeDriver or a list of them');
}
