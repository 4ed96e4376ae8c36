import { clusterObjectResidue } from "./cluster-object.ts";
import { clusterPatchResidue } from "./cluster-patch.ts";
import { directoryResidue } from "./directory.ts";
import { envFileResidue } from "./env-file.ts";
import { hostsResidue } from "./hosts.ts";
import { interceptResidue } from "./intercept.ts";
import type { ResidueKind } from "./kind.ts";
import { mountResidue } from "./mount.ts";
import { processResidue } from "./process.ts";
import { volumesResidue } from "./volumes.ts";

/** Every kind that a journal may name. */
export const residueKinds: ReadonlyMap<string, ResidueKind> = new Map(
  [
    hostsResidue,
    envFileResidue,
    directoryResidue,
    volumesResidue,
    mountResidue,
    processResidue,
    clusterObjectResidue,
    clusterPatchResidue,
    interceptResidue,
  ].map((kind) => [kind.kind, kind as unknown as ResidueKind]),
);
