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
  write(path: string, options: WriteOptions): Promise<FileItem | undefined>;
  makeDirectory(path: string): Promise<void>;
  makeLink(path: string, target: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /** False where it isn't what it was, or a folder that isn't empty. */
  remove(path: string, item: Item): Promise<boolean>;
}

export interface WriteOptions {
  mode: number;
  instead: Item | undefined;
  /** False: nothing is put there. */
  fill(write: (chunk: Buffer) => Promise<void>): Promise<boolean>;
}

export interface FileItem {
  type: "file";
  size: number;
  /** Permission bits. */
  mode: number;
  /** In s since 1970. */
  mtime: number;
  /** Another one whenever the file may be another, as far as the side can tell. */
  stamp: string;
}

/** `other`: what can't be brought, a socket for instance; it is let alone, and so is what has its name on the other side. */
export type Item = FileItem | { type: "directory" } | { type: "link"; target: string } | { type: "other" };

export interface Scan {
  items: ReadonlyMap<string, Item>;
  /** Folders that could not be read to the end: what isn't found below one of them may be there. */
  missed: readonly string[];
}

/** By which an item is known again; of one that isn't there undefined. */
export function stampOf(item: Item | undefined): string | undefined {
  if (!item) return undefined;
  if (item.type === "file") return `file ${item.stamp}`;
  return item.type === "link" ? `link ${item.target}` : item.type;
}

export const parentOf = (path: string): string => (path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "");

/** What a copy is called until it is whole. Scans pass by it, as they pass by what is left of one. */
export const PARTIAL = ".shipside-partial-";

/** The code of what fails because the side can't be reached, and with it all else. */
export const AWAY = "ECONNRESET";
