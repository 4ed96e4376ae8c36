import { clearVolumes, volumesLeft } from "@shipside/volumes";
import type { Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface VolumesData extends Record<string, unknown> {
  /** Absolute. */
  dir: string;
  /** Stands in the folder too: by it what is ours there is known from what another session has made there since. */
  owner: string;
}

/** Records a folder of volumes before it is filled. What is mounted in it is recorded by itself, later, and so undone before. */
export async function recordVolumes(
  journal: Journal,
  dir: string,
  session: string,
): Promise<{ owner: string; undone(): Promise<void> }> {
  const data: VolumesData = { dir, owner: `${journal.run}-${session}` };
  return { owner: data.owner, undone: await journal.record({ kind: volumesResidue.kind, data }, session) };
}

export const volumesResidue: ResidueKind<VolumesData> = {
  kind: "volumes",
  place: "machine",
  describe: ({ dir }) => `volumes in ${dir}`,
  undo: ({ dir, owner }) => clearVolumes(dir, owner),
  left: async ({ dir, owner }) => ((await volumesLeft(dir, owner)) ? `volumes in ${dir}` : undefined),
};
