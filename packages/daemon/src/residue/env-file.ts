import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename, unlink } from "node:fs/promises";
import { ignoreMissing, type Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface EnvFileData extends Record<string, unknown> {
  path: string;
  /** Where the file that stood there before was put. */
  kept?: string;
  /** SHA-256 of what we wrote last, in hex: anything else is somebody's edit. */
  digest?: string;
}

export interface EnvFilePlace {
  /** To be called after each writing. */
  wrote(digest: string | undefined): Promise<void>;
  remove(): Promise<void>;
}

/** A place for an env file: what stood there before is put aside, and put back when ours is removed. */
export async function makeEnvFile(journal: Journal, path: string, session?: string): Promise<EnvFilePlace> {
  let data: EnvFileData = { path, ...(existsSync(path) && { kept: `${path}.before-${journal.run}` }) };
  let undone = await journal.record({ kind: envFileResidue.kind, data }, session);
  if (data.kept !== undefined) await rename(path, data.kept);
  return {
    async wrote(digest) {
      if (digest === undefined || digest === data.digest) return;
      data = { ...data, digest };
      const before = undone;
      undone = await journal.record({ kind: envFileResidue.kind, data }, session);
      await before();
    },
    async remove() {
      await envFileResidue.undo(data);
      await undone();
    },
  };
}

export const envFileResidue: ResidueKind<EnvFileData> = {
  kind: "env-file",
  async undo({ path, kept, digest }) {
    // Where a file should have been put aside and isn't, the crash came before: what stands at `path` is the user's own.
    if (kept !== undefined && !existsSync(kept)) return;
    const now = await digestOf(path);
    if (now !== undefined && digest !== undefined && now !== digest) await rename(path, unusedName(`${path}.kept`));
    else await unlink(path).catch(ignoreMissing);
    if (kept !== undefined) await rename(kept, path);
  },
  async left({ path, kept, digest }) {
    if (kept !== undefined) return existsSync(kept) ? `${kept}, which belongs at ${path}` : undefined;
    const now = await digestOf(path);
    return now !== undefined && (digest === undefined || now === digest) ? `env file ${path}` : undefined;
  },
};

function unusedName(path: string): string {
  for (let n = 1; ; n++) {
    const name = n === 1 ? path : `${path}-${n}`;
    if (!existsSync(name)) return name;
  }
}

async function digestOf(path: string): Promise<string | undefined> {
  try {
    return createHash("sha256")
      .update(await readFile(path))
      .digest("hex");
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
    return undefined;
  }
}
