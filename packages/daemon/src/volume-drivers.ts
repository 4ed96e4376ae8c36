import type { Plugin, VolumeDriver } from "@shipside/core";
import type { Workload } from "@shipside/kube";
import { snapshotDriver } from "@shipside/volumes";
import type { Journal } from "./journal.ts";
import type { ClusterPlace } from "./residue/cluster-object.ts";

export interface VolumeDriverComponents {
  place: ClusterPlace;
  workload: Workload;
  journal: Journal;
  /** Its id. */
  session: string;
  plugins: readonly Plugin[];
}

/** Those that a session can have, in the order in which `auto` tries them: ours, then the plugins'. */
export function volumeDrivers({ place, plugins }: VolumeDriverComponents): VolumeDriver[] {
  return [snapshotDriver({ cluster: place.cluster }), ...plugins.flatMap(({ volumeDrivers: theirs = [] }) => theirs)];
}
