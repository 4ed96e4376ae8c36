import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile, rename, unlink } from "node:fs/promises";
import type { Journal } from "../journal.ts";
import { ignoreMissing } from "../journal-files.ts";
import type { ResidueKind, Undone } from "./kind.ts";

interface EnvFileData extends Record<string, unknown> {
  path: string;
  /** Where the file that stood there before was put. */
  kept?: string;
  /** SHA-256, in hex, of what we wrote there lately and of what was about to replace it: anything else is somebody's. */
  digests: readonly string[];
  /** What is about to replace it, half written at worst. */
  temporary?: string;
}

export interface EnvFilePlace {
  /** To be awaited before each writing. */
  writing(next: { digest: string; temporary: string }): Promise<void>;
  remove(): Promise<void>;
}

/** A place for an env file: what stood there before is put aside, and put back when ours is removed. */
export async function makeEnvFile(journal: Journal, path: string, session?: string): Promise<EnvFilePlace> {
  let data: EnvFileData = { path, ...(existsSync(path) && { kept: `${path}.before-${journal.run}` }), digests: [] };
  let undone = await journal.record({ kind: envFileResidue.kind, data }, session);
  if (data.kept !== undefined) await rename(path, data.kept);
  return {
    async writing({ digest, temporary }) {
      data = { ...data, digests: [...data.digests.slice(-3), digest], temporary };
      const before = undone;
      undone = await journal.record({ kind: envFileResidue.kind, data }, session);
      await before();
    },
    async remove() {
      await undo(data);
      await undone();
    },
  };
}

async function undo({ path, kept, digests, temporary }: EnvFileData): Promise<Undone> {
  if (temporary !== undefined) await unlink(temporary).catch(ignoreMissing);
  // Where a file should have been put aside and isn't, it is back already, or the crash came before: what stands at `path` is the user's own.
  if (kept !== undefined && !existsSync(kept)) return {};
  const now = await digestOf(path);
  let aside: string | undefined;
  if (now !== undefined && digests.includes(now)) await unlink(path).catch(ignoreMissing);
  else if (now !== undefined && (kept !== undefined || digests.length > 0)) {
    aside = unusedName(`${path}.kept`);
    await rename(path, aside);
  }
  if (kept !== undefined) await rename(kept, path);
  return aside === undefined ? {} : { said: `it had been edited: the edit is kept as ${aside}` };
}

export const envFileResidue: ResidueKind<EnvFileData> = {
  kind: "env-file",
  place: "machine",
  describe: ({ path }) => `env file ${path}`,
  undo,
  async left({ path, kept, digests, temporary }) {
    if (kept !== undefined) return existsSync(kept) ? `${kept}, which belongs at ${path}` : undefined;
    const now = await digestOf(path);
    if (now !== undefined && digests.includes(now)) return `env file ${path}`;
    return temporary !== undefined && existsSync(temporary) ? `a half-written env file ${temporary}` : undefined;
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
