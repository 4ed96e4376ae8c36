import { directoryResidue } from "./directory.ts";
import { envFileResidue } from "./env-file.ts";
import { hostsResidue } from "./hosts.ts";
import type { ResidueKind } from "./kind.ts";

/** Every kind that a journal may name. */
export const residueKinds: ReadonlyMap<string, ResidueKind> = new Map(
  [hostsResidue, envFileResidue, directoryResidue].map((kind) => [kind.kind, kind as unknown as ResidueKind]),
);
