import type { Plugin, VolumeDriver } from "@shipside/core";
import { type ClaimDriverOptions, fuseDriver, snapshotDriver, sshfsDriver, syncDriver } from "@shipside/volumes";
import { developer } from "./developer.ts";
import type { HostOptions } from "./host.ts";
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
  /** Where drives are mounted that can be: see `HostOptions`. */
  mountInside: HostOptions["mountInside"] | undefined;
  /** Told before a relay is deployed. */
  notice(message: string): void;
  /** Told how far the copy of a volume is. */
  copying(message: string): void;
  /** Told of what becomes of a volume that stands. */
  warn(error: Error): void;
}

/** Those that a session can have, in the order in which `auto` tries them: ours, then the plugins'. */
export function volumeDrivers({
  place,
  journal,
  session,
  image,
  ignore,
  plugins,
  mountInside,
  notice,
  copying,
  warn,
}: VolumeDriverComponents): VolumeDriver[] {
  const { cluster } = place;
  const ofClaims: ClaimDriverOptions = {
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
    fuseDriver({ ...ofClaims, ...(mountInside && { enter: mountInside }) }),
    sshfsDriver(ofClaims),
    syncDriver({ ...ofClaims, ...(ignore && { ignore }), onProgress: nowAndThen(copying), onWarning: warn }),
    snapshotDriver({ cluster, onProgress: nowAndThen(copying) }),
    ...plugins.flatMap(({ volumeDrivers: theirs = [] }) => theirs),
  ];
}

/** How often a copy of a volume tells how far it is, in ms. */
const TELL_MS = 500;

/** Of what is not known beforehand, how much has come. */
interface CopyProgress {
  files: number;
  ofFiles?: number;
  bytes: number;
  ofBytes?: number;
}

function nowAndThen(tell: (message: string) => void): (name: string, progress: CopyProgress) => void {
  let told: number | undefined;
  const mebibytes = (size: number): string => (size / 2 ** 20).toFixed(1);
  return (name, { files, ofFiles, bytes, ofBytes }) => {
    told ??= performance.now();
    if (performance.now() - told < TELL_MS) return;
    told = performance.now();
    if (ofFiles === undefined || ofBytes === undefined)
      tell(`copying ${name}: ${files} ${files === 1 ? "file" : "files"}, ${mebibytes(bytes)} MiB so far`);
    else tell(`copying ${name}: ${files} of ${ofFiles} files, ${mebibytes(bytes)} of ${mebibytes(ofBytes)} MiB`);
  };
}
