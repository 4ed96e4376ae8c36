/**
 * What is synchronised: one on this machine, one in the cluster. Paths are relative, with `/` between the parts, and byte strings (latin1), since
 * a file's name need not be UTF-8; the root is the empty one.
 */
export interface Tree {
  /** All that is there now. Rejects where the root itself can't be read, or isn't the one it was. */
  scan(): Promise<Scan>;
  look(path: string): Promise<Item | undefined>;
  /** Resolves with what it was, if it was the same all the while it was read; else with undefined. */
  read(path: string, into: (chunk: Buffer) => Promise<void>): Promise<FileItem | undefined>;
  /**
   * Makes a file aside, has `fill` write it, syncs it, and puts it in the path's place all at once, if what is there is still `instead`.
   * Resolves with what is there then, or with undefined where something else was.
   */
  write(path: string, options: WriteOptions): Promise<Written | undefined>;
  makeDirectory(path: string): Promise<void>;
  makeLink(path: string, target: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /** Gives a file that is taken away the name `keep`. Undefined where it isn't what it was, or a folder that isn't empty. */
  remove(path: string, item: Item, keep: string): Promise<{ kept?: FileItem } | undefined>;
  /** To a name that nothing has: else `EEXIST`. */
  rename(from: string, to: string): Promise<void>;
  /** Removes what `write` and `remove` kept, whatever it is by now. */
  drop(name: string): Promise<void>;
}

export interface WriteOptions {
  mode: number;
  instead: Item | undefined;
  /** The name that what was there has afterwards. */
  keep: string;
  /** False: nothing is put there. */
  fill(write: (chunk: Buffer) => Promise<void>): Promise<boolean>;
}

export interface Written {
  item: FileItem;
  /** What was there, as it is under its other name. Undefined where nothing was, or it can't be kept. */
  kept?: FileItem;
}

export interface FileItem {
  type: "file";
  size: number;
  /** Permission bits. */
  mode: number;
  /** In s since 1970. */
  mtime: number;
  /** Another one whenever the file may be another, as far as the side can tell; */
  stamp: string;
  /** but for so long after `mtime`, in s: a change within that may leave all as it is. */
  unsureFor: number;
}

/** `other`: what can't be brought, a socket for instance; it is let alone, and so is what has its name on the other side. */
export type Item =
  | FileItem
  | { type: "directory" }
  /** The stamp of the link itself. */
  | { type: "link"; target: string; stamp: string }
  | { type: "other" };

export interface Scan {
  items: ReadonlyMap<string, Item>;
  /** Folders that could not be read to the end: what isn't found below one of them may be there. */
  missed: readonly string[];
  /** What stands aside, by {@link PARTIAL}: copies under way, what is kept, and what is left of either. `since`: in s since 1970. */
  aside: ReadonlyArray<{ path: string; since: number }>;
}

/** By which an item is known again; of one that isn't there undefined. */
export function stampOf(item: Item | undefined): string | undefined {
  if (!item) return undefined;
  if (item.type === "file") return `file ${item.stamp}`;
  return item.type === "link" ? `link ${item.target}` : item.type;
}

/** For what a side expects at a path when it replaces it: empty for nothing. */
export const expectedOf = (item: Item | undefined): string => (item && "stamp" in item ? item.stamp : "");

/** Times that a kernel takes from its ticks, and such as are whole seconds. */
const [TICK_S, SECOND_S] = [0.05, 3];

/** Of a file's stamp as `fileStamp` makes it. */
export function stampedItem(stamp: string): FileItem {
  const [size = "", mode = "", content = "0", change = "0"] = stamp.split(":");
  // Whatever is written from now on has a time that isn't before that of the last change.
  const isSure = BigInt(content) < BigInt(change);
  const unsureFor = isSure ? 0 : content.endsWith("000000000") ? SECOND_S : TICK_S;
  const mtime = Number(content) / 1e9;
  return { type: "file", size: Number(size), mode: Number.parseInt(mode, 8) & 0o777, mtime, stamp, unsureFor };
}

/** Whether size, mode and the time of the content are the same, by {@link stampOf}. */
export const isSameButForChange = (a: string | undefined, b: string | undefined): boolean =>
  a !== undefined && b !== undefined && a.split(":").slice(0, 3).join(":") === b.split(":").slice(0, 3).join(":");

/** When what has a stamp was changed last, in s since 1970. */
export const changedAt = (stamp: string): number => Number(stamp.split(":")[3]) / 1e9;

/** Of a side whose times are whole seconds, with nothing of the inode. */
export function plainItem({ size, mode, mtime }: { size: number; mode: number; mtime: number }): FileItem {
  const bits = mode & 0o777;
  return { type: "file", size, mode: bits, mtime, stamp: `${size}:${mtime}:${bits.toString(8)}`, unsureFor: SECOND_S };
}

/** A side's own time, in s, as far as it can be known: clocks differ, but none has changed a file later than it is there. */
export const newestOf = ({ items }: Scan): number =>
  [...items.values()].reduce(
    (newest, item) => (item.type === "file" ? Math.max(newest, Math.min(item.mtime, Date.now() / 1000)) : newest),
    0,
  );

export const isSameContent = (a: Item | undefined, b: Item | undefined): boolean =>
  a?.type === "file" && b?.type === "file" && a.size === b.size && a.mtime === b.mtime;

/** Whether it may change once more with all that is seen of it staying the same. */
export const isFresh = (item: Item | undefined, newest: number): item is FileItem =>
  item?.type === "file" && item.unsureFor > 0 && item.mtime >= newest - item.unsureFor;

export const parentOf = (path: string): string => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");

/** What a copy is called until it is whole, and what is kept of a file that was replaced. Scans pass by it, as they pass by what is left of one. */
export const PARTIAL = ".shipside-partial-";

/** The code of what fails because the side can't be reached, and with it all else. */
export const AWAY = "ECONNRESET";
