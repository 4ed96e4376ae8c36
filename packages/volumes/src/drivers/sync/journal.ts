import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { hasCode, silentLogger } from "@shipside/core";
import { clearAside, keptOf } from "./aside.ts";
import { hashOf } from "./hash.ts";
import { lookAtKept, unwritten } from "./kept.ts";
import { localTree } from "./local-tree.ts";
import type { Agreed } from "./reconcile.ts";
import { type Item, isSameButForChange, stampOf, type Tree } from "./tree.ts";

/** What both sides of a folder agreed on last, kept where it outlives this process: what stands in it may be removed from here, nothing else. */
export interface SyncJournal {
  save(agreed: ReadonlyMap<string, Agreed>): Promise<void>;
  remove(): Promise<void>;
}

const directory = (env: NodeJS.ProcessEnv = process.env): string => {
  const given = env["XDG_STATE_HOME"];
  return join(given && isAbsolute(given) ? given : join(homedir(), ".local", "state"), "shipside", "sync");
};
const fileOf = (localPath: string): string =>
  join(directory(), `${createHash("sha256").update(localPath).digest("hex").slice(0, 32)}.json`);

/** Of a folder by its real path. */
export function syncJournal(localPath: string): SyncJournal {
  const file = fileOf(localPath);
  return {
    async save(agreed) {
      await mkdir(directory(), { recursive: true, mode: 0o700 });
      await writeFile(`${file}.new`, JSON.stringify({ localPath, agreed: [...agreed] }), { mode: 0o600 });
      await rename(`${file}.new`, file);
    },
    async remove() {
      await rm(file, { force: true });
      await rm(`${file}.new`, { force: true });
    },
  };
}

/**
 * Removes from a folder what a process that was killed had synchronised there and nobody has changed since. What was not yet brought to the
 * cluster stays. Does nothing where nothing was synchronised.
 */
export async function removeSynced(localPath: string): Promise<void> {
  const file = fileOf(localPath);
  let agreed: Map<string, Agreed>;
  try {
    agreed = new Map((JSON.parse(await readFile(file, "utf8")) as { agreed: Array<[string, Agreed]> }).agreed);
  } catch (error) {
    if (hasCode(error, "ENOENT") || error instanceof SyntaxError) return;
    throw error;
  }
  const local = await localTree(localPath, { ignored: () => false }).catch(() => undefined);
  if (local) {
    for (const { path } of (await local.scan()).aside) await clearAside(local, path, "local");
    await removeAgreed(local, agreed);
  }
  await syncJournal(localPath).remove();
}

/** Resolves with the paths that stay, since they are not what both sides agreed on. */
export async function removeAgreed(local: Tree, agreed: ReadonlyMap<string, Agreed>, logger = silentLogger): Promise<string[]> {
  const { items } = await local.scan();
  const left: string[] = [];
  const inner = [...items.keys()].sort((a, b) => b.split("/").length - a.split("/").length);
  for (const path of inner) {
    // As it is now: another name of the same file may have gone a moment ago.
    const item = await local.look(path);
    if (!item) continue;
    // A folder goes where it is empty by now.
    const mayGo = item.type === "directory" || (await isAgreed(path, item));
    if (!mayGo || !(await takeAway(path, item))) left.push(...(item.type === "directory" ? [] : [path]));
  }
  return left;

  /** The time of a change is another one, too, where the file got or lost a name: then its content tells. */
  async function isAgreed(path: string, item: Item): Promise<boolean> {
    const known = agreed.get(path);
    if (stampOf(item) === known?.local) return true;
    if (item.type !== "file" || known?.hash === undefined || !isSameButForChange(stampOf(item), known.local)) return false;
    return (await hashOf(local, path)) === known.hash;
  }

  /** False where it is changed in that moment: then it has its name again. */
  async function takeAway(path: string, item: Item): Promise<boolean> {
    const name = keptOf(path);
    const removed = await local.remove(path, item, name);
    if (!removed?.kept) return removed !== undefined;
    const kept = new Set([
      { tree: local, path, name, item: unwritten(removed.kept, item), hash: agreed.get(path)?.hash, since: 0 },
    ]);
    return (await lookAtKept(kept, { age: 0, label: () => "local", onConflict: () => {}, logger })) === 0;
  }
}
