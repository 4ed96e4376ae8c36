import type { Plugin, VolumeDriver } from "@shipside/core";
import { snapshotDriver, sshfsDriver } from "@shipside/volumes";
import { developer } from "./developer.ts";
import type { Journal } from "./journal.ts";
import { type ClusterPlace, makeClusterObject } from "./residue/cluster-object.ts";

export interface VolumeDriverComponents {
  place: ClusterPlace;
  journal: Journal;
  /** Its id. */
  session: string;
  /** What a relay runs in. Default: the relay package's. */
  image: string | undefined;
  plugins: readonly Plugin[];
  /** Told before a relay is deployed. */
  notice(message: string): void;
}

/** Those that a session can have, in the order in which `auto` tries them: ours, then the plugins'. */
export function volumeDrivers({ place, journal, session, image, plugins, notice }: VolumeDriverComponents): VolumeDriver[] {
  const { cluster } = place;
  return [
    sshfsDriver({
      cluster,
      owner: developer().holder,
      ...(image !== undefined && { image }),
      make(type, object) {
        const { name, namespace } = object.metadata;
        notice(`deploying a relay into namespace ${namespace}, which mounts the claim there: ${name}`);
        return makeClusterObject(journal, place, type, object, session);
      },
    }),
    snapshotDriver({ cluster }),
    ...plugins.flatMap(({ volumeDrivers: theirs = [] }) => theirs),
  ];
}
