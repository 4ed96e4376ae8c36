import type { Plugin, VolumeDriver } from "@shipside/core";
import { fuseDriver, type SshfsOptions, type SyncOptions, snapshotDriver, sshfsDriver, syncDriver } from "@shipside/volumes";
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
  /** What `sync` lets alone. */
  ignore: readonly string[] | undefined;
  plugins: readonly Plugin[];
  /** Told before a relay is deployed. */
  notice(message: string): void;
}

/** Those that a session can have, in the order in which `auto` tries them: ours, then the plugins'. */
export function volumeDrivers({ place, journal, session, image, ignore, plugins, notice }: VolumeDriverComponents): VolumeDriver[] {
  const { cluster } = place;
  const ofClaims: SshfsOptions = {
    cluster,
    owner: developer().holder,
    ...(image !== undefined && { image }),
    make(type, object) {
      const { name, namespace } = object.metadata;
      notice(`deploying a relay into namespace ${namespace}, which mounts the claim there: ${name}`);
      return makeClusterObject(journal, place, type, object, session);
    },
  };
  return [
    sshfsDriver(ofClaims),
    fuseDriver(ofClaims),
    syncDriver({ ...ofClaims, ...(ignore && { ignore }), onProgress: sayNowAndThen(notice) }),
    snapshotDriver({ cluster }),
    ...plugins.flatMap(({ volumeDrivers: theirs = [] }) => theirs),
  ];
}

/** How often the first copy of a volume says how far it is, in ms. */
const SAY_MS = 2_000;

function sayNowAndThen(notice: (message: string) => void): NonNullable<SyncOptions["onProgress"]> {
  let said: number | undefined;
  return (name, { files, ofFiles, bytes, ofBytes }) => {
    said ??= performance.now();
    if (performance.now() - said < SAY_MS) return;
    said = performance.now();
    const mebibytes = (size: number): string => (size / 2 ** 20).toFixed(1);
    notice(`copying ${name}: ${files} of ${ofFiles} files, ${mebibytes(bytes)} of ${mebibytes(ofBytes)} MiB`);
  };
}
