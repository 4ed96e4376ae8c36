import { createHash } from "node:crypto";
import { codeOf, hasCode, type Logger } from "@shipside/core";
import { clearAside, conflictNames, keptOf, renameToFree } from "./aside.ts";
import { hashOf } from "./hash.ts";
import { type Kept, lookAtKept, unwritten } from "./kept.ts";
import { type Action, type Agreed, reconcile } from "./reconcile.ts";
import {
  AWAY,
  type FileItem,
  type Item,
  isFresh,
  isSameContent,
  newestOf,
  parentOf,
  stampOf,
  type Tree,
  type WriteOptions,
} from "./tree.ts";

export interface CycleComponents {
  local: Tree;
  remote: Tree;
  /** Changed in place. */
  agreed: Map<string, Agreed>;
  /** What was replaced or taken away, to be looked at once more by {@link lookAtKept}. Changed in place. */
  kept: Set<Kept>;
  /** Nothing is changed in the cluster. */
  readOnly: boolean;
  /** What the names of conflicts end in: `desk-20260131-120000`. */
  label(): string;
  /** Told where both sides had changed a file: one of the two has another name. */
  onConflict(path: string, name: string): void;
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

/** Why something waits that only takes time. */
export const CHANGES = "it changes meanwhile, or has something in it";
/** How many files are copied at a time. */
const AT_ONCE = 6;
/** What stands aside for so long, in s, was left by a process that was killed. */
const ABANDONED_S = 86_400;
/** So many fresh files are looked at in every cycle; of more, each once at the end of that time. */
const FEW = 200;

/** Brings both sides one step nearer to each other: after some without a change on either, they are the same. Calls must not overlap. */
export async function cycle(components: CycleComponents): Promise<Cycled> {
  const { local, remote, agreed, kept, readOnly, label, onConflict, logger, onProgress } = components;
  await lookAgain({ local, remote }, agreed);
  const [here, there] = await Promise.all([local.scan(), remote.scan()]);
  const actions = reconcile(agreed, here, there);
  const abandoned = (readOnly ? [] : there.aside).filter(({ since }) => since < Date.now() / 1000 - ABANDONED_S);
  const pending = new Map<string, string>();
  let changes = 0;
  const newest = { local: newestOf(here), remote: newestOf(there) };

  const settle = (path: string, ours: Item, theirs: Item, hash?: string): void => {
    const fresh = (["local", "remote"] as const).filter((side) => isFresh(side === "local" ? ours : theirs, newest[side]));
    const longest = Math.max(...[ours, theirs].map((item) => (item.type === "file" ? item.unsureFor : 0)));
    agreed.set(path, {
      type: ours.type as Agreed["type"],
      local: stampOf(ours)!,
      remote: stampOf(theirs)!,
      ...(hash !== undefined && { hash }),
      ...(fresh.length > 0 && { fresh: { until: Date.now() + longest * 1000, sides: fresh } }),
    });
  };
  /** Whether it may have changed with all that is seen of it staying the same. */
  const isUnsure = (path: string, tree: Tree, item: Item | undefined): boolean => {
    const side = tree === local ? "local" : "remote";
    return isFresh(item, newest[side]) || (agreed.get(path)?.fresh?.sides.includes(side) ?? false);
  };
  const attempt = async (path: string, work: () => Promise<boolean>): Promise<void> => {
    try {
      if (await work()) changes++;
      else pending.set(path, CHANGES);
    } catch (error) {
      // The way to the cluster is away: all that is left would fail in the same way.
      if (hasCode(error, AWAY)) throw error;
      pending.set(path, codeOf(error) ?? String(error));
      logger.debug("not synchronised yet", { path, error: (error as Error).message });
    }
  };
  /**
   * Does what gives a file another name, under which it is looked at once more. It is noted before: where the way breaks off, nobody knows whether it
   * was done.
   */
  const keeping = async <T extends { kept?: FileItem }>(
    tree: Tree,
    path: string,
    item: Item | undefined,
    work: (name: string) => Promise<T | undefined>,
  ): Promise<T | undefined> => {
    const name = keptOf(path);
    const entry: Kept = {
      tree,
      path,
      name,
      hash: agreed.get(path)?.hash,
      isUnsure: isUnsure(path, tree, item),
      since: Date.now(),
    };
    if (item?.type === "file") kept.add(entry);
    const done = await work(name);
    entry.since = Date.now();
    if (done?.kept && item) entry.item = unwritten(done.kept, item);
    else kept.delete(entry);
    return done;
  };
  const takeAway = async (tree: Tree, path: string, item: Item): Promise<boolean> => {
    // What is kept in a folder would hold it.
    if (item.type === "directory" && (await lookAtKept(kept, { tree, under: path, age: 0, label, onConflict, logger })) > 0)
      return false;
    return (await keeping(tree, path, item, (name) => tree.remove(path, item, name))) !== undefined;
  };
  /** Copies a file's content, and settles. */
  const copy = async (path: string, from: Tree, to: Tree, mode: number, instead: Item | undefined): Promise<boolean> => {
    const hash = createHash("sha256");
    let read: FileItem | undefined;
    const fill: WriteOptions["fill"] = async (write) => {
      read = await from.read(path, async (chunk) => {
        hash.update(chunk);
        await write(chunk);
      });
      return read !== undefined;
    };
    const written = await keeping(to, path, instead, (keep) => to.write(path, { mode, instead, keep, fill }));
    if (!read || !written) return false;
    const [ours, theirs] = from === local ? [read, written.item] : [written.item, read];
    settle(path, ours, theirs, hash.digest("hex"));
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
        if (isUnsure(path, to, instead) && (await hashOf(to, path)) !== hash) return false;
        const [ours, theirs] = [await local.look(path), await remote.look(path)];
        const same = stampOf(up ? ours : theirs) === stampOf(item) && isSameContent(up ? theirs : ours, instead);
        if (same && ours && theirs) settle(path, ours, theirs, hash);
        return same;
      }
      return await copy(path, from, to, up && sameMode(path) ? instead.mode : item.mode, instead);
    }
    if (instead) {
      if (!(await takeAway(to, path, instead))) {
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
    onConflict(path, await renameToFree(local, path, conflictNames(path, label())));
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
    if ((await other.look(path)) || !(await takeAway(from, path, item))) return false;
    agreed.delete(path);
    return true;
  };

  const of = (...kinds: Array<Action["what"]>): string[] =>
    actions.filter(({ what }) => kinds.includes(what)).map(({ path }) => path);
  for (const { path } of abandoned)
    await clearAside(remote, path, label()).catch((error: unknown) => {
      if (hasCode(error, AWAY)) throw error;
    });
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

/** Where what is seen of a file may be the same after one more change, its content tells. */
async function lookAgain(trees: { local: Tree; remote: Tree }, agreed: Map<string, Agreed>): Promise<void> {
  const all = [...agreed].flatMap(([path, { fresh }]) => (fresh ? [{ path, fresh }] : []));
  for (const { path, fresh } of all) {
    const isOver = Date.now() >= fresh.until;
    if (!isOver && all.length > FEW) continue;
    for (const side of fresh.sides) {
      const hash = await hashOf(trees[side], path);
      const entry = agreed.get(path)!;
      if (hash === undefined) continue;
      const { fresh: _, ...settled } = entry;
      if (hash !== entry.hash) agreed.set(path, { ...entry, [side]: "changed unseen" });
      else if (isOver) agreed.set(path, settled);
    }
  }
}

async function makeParents(tree: Tree, path: string): Promise<void> {
  const parent = parentOf(path);
  if (parent === "" || (await tree.look(parent))?.type === "directory") return;
  await makeParents(tree, parent);
  await tree.makeDirectory(parent);
}

const deepestFirst = (a: string, b: string): number => b.split("/").length - a.split("/").length;
