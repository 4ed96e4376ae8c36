import { existsSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface DirectoryData extends Record<string, unknown> {
  path: string;
}

const PREFIX = "shipside-run-";

/** A folder of our own under the temp folder (0700), removed with all that is in it. */
export async function makeDirectory(journal: Journal, name: string): Promise<{ path: string; remove(): Promise<void> }> {
  // The run is part of the name, and the name is known before the folder is made: the record comes first.
  const path = join(tmpdir(), `${PREFIX}${journal.run}-${name}`);
  const undone = await journal.record({ kind: directoryResidue.kind, data: { path } });
  await mkdir(path, { mode: 0o700 });
  return {
    path,
    async remove() {
      await undo({ path });
      await undone();
    },
  };
}

async function undo({ path }: DirectoryData): Promise<void> {
  // A journal is a file that could be damaged: nothing but a folder that we name is ever removed with its content.
  if (!basename(path).startsWith(PREFIX)) throw new Error(`${path} is not a folder that shipside makes`);
  await rm(path, { recursive: true, force: true });
}

export const directoryResidue: ResidueKind<DirectoryData> = {
  kind: "directory",
  place: "machine",
  describe: ({ path }) => `folder ${path}`,
  undo,
  left: async ({ path }) => (existsSync(path) ? `folder ${path}` : undefined),
};
