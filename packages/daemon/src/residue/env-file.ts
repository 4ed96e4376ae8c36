import { createHash } from "node:crypto";
import { readFile, rename, unlink } from "node:fs/promises";
import { ignoreMissing, type Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface EnvFileData extends Record<string, unknown> {
  path: string;
  /** Where the file that stood there before was put. */
  kept?: string;
}

/** A place for an env file: what stood there is put aside before ours is written, and put back when ours is removed. */
export async function makeEnvFile(journal: Journal, path: string): Promise<{ remove(): Promise<void> }> {
  const before = await hashOf(path);
  const data: EnvFileData = { path, ...(before !== undefined && { kept: `${path}.before-${journal.run}` }) };
  const undone = await journal.record({ kind: envFileResidue.kind, data });
  if (data.kept !== undefined) await rename(path, data.kept);
  return {
    async remove() {
      await envFileResidue.undo(data);
      await undone();
    },
  };
}

export const envFileResidue: ResidueKind<EnvFileData> = {
  kind: "env-file",
  async undo({ path, kept }) {
    if (kept === undefined) return unlink(path).catch(ignoreMissing);
    // Where nothing was put aside, the crash came before the rename: what stands at `path` is the user's own.
    await rename(kept, path).catch(ignoreMissing);
  },
  async left({ path, kept }) {
    if (kept !== undefined) return (await hashOf(kept)) === undefined ? undefined : `${kept}, which belongs at ${path}`;
    return (await hashOf(path)) === undefined ? undefined : `env file ${path}`;
  },
};

async function hashOf(path: string): Promise<string | undefined> {
  try {
    return createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
    return undefined;
  }
}
