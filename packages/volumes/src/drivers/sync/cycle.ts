import { createHash } from "node:crypto";
import { codeOf, hasCode, type Logger } from "@shipside/core";
import type { LocalTree } from "./local-tree.ts";
import { type Action, type Agreed, reconcile } from "./reconcile.ts";
import { AWAY, type FileItem, type Item, parentOf, stampOf, type Tree } from "./tree.ts";

export interface CycleComponents {
  local: LocalTree;
  remote: Tree;
  /** Changed in place. */
  agreed: Map<string, Agreed>;
  /** Nothing is changed in the cluster. */
  readOnly: boolean;
  /** What the names of conflicts end in: `desk-20260131-120000`. */
  label(): string;
  logger: Logger;
  onProgress?(done: Progress): void;
}

export interface Progress {
  files: number;
  ofFiles: number;
  bytes: number;
  ofBytes: number;
}

export interface Cycled {
  /** How much was done. */
  changes: number;
  /** What could not be done yet, and why, by path. */
  pending: ReadonlyMap<string, string>;
}

/** How many files are copied at a time. */
const AT_ONCE = 6;
/** SFTP 3 tells times in whole seconds: what has changed within one may change again unseen. Looked at anew until then, in ms. */
const FRESH_MS = 3_000;
/** So many fresh files are looked at in every cycle; of more, each once at the end of that time. */
const FEW = 200;

/** Brings both sides one step nearer to each other: after some without a change on either, they are the same. Calls must not overlap. */
export async function cycle(components: CycleComponents): Promise<Cycled> {
  const { local, remote, agreed, readOnly, label, logger, onProgress } = components;
  await lookAgain(remote, agreed);
  const [here, there] = await Promise.all([local.scan(), remote.scan()]);
  const actions = reconcile(agreed, here, there);
  const pending = new Map<string, string>();
  let changes = 0;
  const newest = Math.min(
    Date.now() / 1000,
    Math.max(0, ...[...there.items.values()].map((item) => (item.type === "file" ? item.mtime : 0))),
  );

  const settle = (path: string, ours: Item, theirs: Item, hash?: string): void => {
    const isFresh = theirs.type === "file" && theirs.mtime >= newest - FRESH_MS / 1000;
    agreed.set(path, {
      type: ours.type as Agreed["type"],
      local: stampOf(ours)!,
      remote: stampOf(theirs)!,
      ...(hash !== undefined && { hash }),
      ...(isFresh && { freshUntil: Date.now() + FRESH_MS }),
    });
  };
  const attempt = async (path: string, work: () => Promise<boolean>): Promise<void> => {
    try {
      if (await work()) changes++;
      else pending.set(path, "it changes meanwhile, or has something in it");
    } catch (error) {
      // The way to the cluster is away: all that is left would fail in the same way.
      if (hasCode(error, AWAY)) throw error;
      pending.set(path, codeOf(error) ?? String(error));
      logger.debug("not synchronised yet", { path, error: (error as Error).message });
    }
  };
  /** Copies a file's content, and settles. */
  const copy = async (path: string, from: Tree, to: Tree, mode: number, instead: Item | undefined): Promise<boolean> => {
    const hash = createHash("sha256");
    let read: FileItem | undefined;
    const written = await to.write(path, {
      mode,
      instead,
      async fill(write) {
        read = await from.read(path, async (chunk) => {
          hash.update(chunk);
          await write(chunk);
        });
        return read !== undefined;
      },
    });
    if (!read || !written) return false;
    if (from === local) settle(path, read, written, hash.digest("hex"));
    else settle(path, written, read, hash.digest("hex"));
    return true;
  };
  /** Brings what one side has to the other. */
  const bring = async (path: string, up: boolean): Promise<boolean> => {
    const [source, target] = up ? [here, there] : [there, here];
    const [from, to] = up ? [local, remote] : [remote, local];
    const item = source.items.get(path)!;
    let instead = target.items.get(path);
    if (item.type === "file" && instead?.type === "file") {
      const hash = agreed.get(path)?.hash;
      // A change of its mode, or of nothing that is brought: content need not travel.
      if (hash !== undefined && (await hashOf(from, path)) === hash) {
        if (item.mode !== instead.mode && (up || (item.mode | 0o600) !== instead.mode)) await to.chmod(path, item.mode);
        const [ours, theirs] = [await local.look(path), await remote.look(path)];
        const same = stampOf(up ? ours : theirs) === stampOf(item) && isSameContent(up ? theirs : ours, instead);
        if (same && ours && theirs) settle(path, ours, theirs, hash);
        return same;
      }
      return await copy(path, from, to, up && sameMode(path) ? instead.mode : item.mode, instead);
    }
    if (instead) {
      if (!(await to.remove(path, instead))) {
        // Something is in it that the other side doesn't know.
        if (await to.look(path)) await setAside(path);
        return false;
      }
      instead = undefined;
    }
    await makeParents(to, path);
    if (item.type === "file") return await copy(path, from, to, item.mode, undefined);
    if (item.type === "directory") await to.makeDirectory(path);
    else if (item.type === "link") await to.makeLink(path, item.target);
    settle(path, item, item);
    return true;
  };
  /** Whether a file's mode here is what was made of that there: then it is nobody's wish. */
  const sameMode = (path: string): boolean => {
    const [ours, theirs] = [here.items.get(path), there.items.get(path)];
    return ours?.type === "file" && theirs?.type === "file" && ours.mode === (theirs.mode | 0o600);
  };
  /** What is here gets another name, and comes to the other side under that; the cluster's keeps the name. */
  const setAside = async (path: string): Promise<void> => {
    if (!(await local.look(path))) return;
    for (let count = 1; count < 100; count++) {
      const name = `${path}.conflict-${label()}${count > 1 ? `-${count}` : ""}`;
      try {
        await local.rename(path, name);
      } catch (error) {
        if (hasCode(error, "EEXIST")) continue;
        throw error;
      }
      logger.warn("changed here and in the cluster: what was here has another name", { path, name });
      return;
    }
  };
  const compare = async (path: string): Promise<boolean> => {
    const [ours, theirs] = [here.items.get(path) as FileItem, there.items.get(path) as FileItem];
    const [mine, other] = await Promise.all([hashOf(local, path), hashOf(remote, path)]);
    if (mine === undefined || other === undefined) return false;
    if (mine === other) settle(path, ours, theirs, mine);
    else await setAside(path);
    return true;
  };
  const removeThere = async (path: string, from: Tree, other: Tree, item: Item): Promise<boolean> => {
    if ((await other.look(path)) || !(await from.remove(path, item))) return false;
    agreed.delete(path);
    return true;
  };

  const of = (...kinds: Array<Action["what"]>): string[] =>
    actions.filter(({ what }) => kinds.includes(what)).map(({ path }) => path);
  for (const path of of("forget")) agreed.delete(path);
  for (const path of of("agree")) settle(path, here.items.get(path)!, there.items.get(path)!);
  for (const path of of("conflict"))
    await attempt(path, async () => {
      await setAside(path);
      return true;
    });
  for (const path of of("compare")) await attempt(path, () => compare(path));
  for (const path of of("remove-local").sort(deepestFirst))
    await attempt(path, () => removeThere(path, local, remote, here.items.get(path)!));
  if (!readOnly)
    for (const path of of("remove-remote").sort(deepestFirst))
      await attempt(path, () => removeThere(path, remote, local, there.items.get(path)!));

  const [ups, downs] = [readOnly ? [] : of("up"), of("down")];
  const isFolder = (path: string, up: boolean): boolean => (up ? here : there).items.get(path)?.type === "directory";
  const all = [...ups.map((path) => ({ path, up: true })), ...downs.map((path) => ({ path, up: false }))];
  for (const { path, up } of all.filter((each) => isFolder(each.path, each.up)).sort((a, b) => deepestFirst(b.path, a.path)))
    await attempt(path, () => bring(path, up));
  const files = all.filter((each) => !isFolder(each.path, each.up));
  const sizeOf = ({ path, up }: { path: string; up: boolean }): number => {
    const item = (up ? here : there).items.get(path);
    return item?.type === "file" ? item.size : 0;
  };
  const progress: Progress = {
    files: 0,
    ofFiles: files.length,
    bytes: 0,
    ofBytes: files.reduce((sum, each) => sum + sizeOf(each), 0),
  };
  const queue = files.values();
  const work = async (): Promise<void> => {
    for (const each of queue) {
      await attempt(each.path, () => bring(each.path, each.up));
      progress.files++;
      progress.bytes += sizeOf(each);
      onProgress?.(progress);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { changes, pending };
}

/** Of what has changed within a second of what was seen of it, the time says nothing: its content does. */
async function lookAgain(remote: Tree, agreed: Map<string, Agreed>): Promise<void> {
  const fresh = [...agreed].filter(([, { freshUntil }]) => freshUntil !== undefined);
  for (const [path, entry] of fresh) {
    const isOver = Date.now() >= entry.freshUntil!;
    if (!isOver && fresh.length > FEW) continue;
    const hash = await hashOf(remote, path);
    if (hash === undefined) continue;
    const { freshUntil: _, ...settled } = entry;
    if (hash !== entry.hash) agreed.set(path, { ...entry, remote: "changed unseen" });
    else if (isOver) agreed.set(path, settled);
  }
}

/** Undefined where it isn't there, is no file, or changes meanwhile. */
async function hashOf(tree: Tree, path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    const read = await tree.read(path, async (chunk) => void hash.update(chunk));
    return read && hash.digest("hex");
  } catch (error) {
    if (hasCode(error, AWAY)) throw error;
    return undefined;
  }
}

const isSameContent = (a: Item | undefined, b: Item): boolean =>
  a?.type === "file" && b.type === "file" && a.size === b.size && a.mtime === b.mtime;

async function makeParents(tree: Tree, path: string): Promise<void> {
  const parent = parentOf(path);
  if (parent === "" || (await tree.look(parent))?.type === "directory") return;
  await makeParents(tree, parent);
  await tree.makeDirectory(parent);
}

const deepestFirst = (a: string, b: string): number => b.split("/").length - a.split("/").length;
