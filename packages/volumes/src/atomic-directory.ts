import { chmod, lstat, mkdir, mkdtemp, readdir, readlink, rename, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hasCode } from "@shipside/core";
import type { Payload } from "./payload.ts";

/** A directory whose files change all at once. Calls must not overlap. */
export interface AtomicDirectory {
  /** Resolves with false where nothing had to change. */
  write(files: Payload): Promise<boolean>;
  /** Removes what was written, and nothing else. */
  remove(): Promise<void>;
}

/**
 * Makes `directory`, which exists, show a volume's files as the kubelet does: they stand in a directory with a time in its name,
 * `..data` is a symbolic link to it that is replaced by a rename, and each top-level name is a link through `..data`. A reader that
 * goes through `..data` sees either all old or all new files. `reserved` top-level names are left to others: volumes mounted inside.
 */
export function createAtomicDirectory(directory: string, reserved: ReadonlySet<string> = new Set()): AtomicDirectory {
  const data = join(directory, "..data");
  const links = new Set<string>();
  let current: { path: string; files: Payload } | undefined;

  const write = async (files: Payload): Promise<boolean> => {
    if (current && isSame(current.files, files)) return false;
    const stamp = new Date().toISOString().replace(/[-:T]/g, "_").slice(0, 19);
    const fresh = await mkdtemp(join(directory, `..${stamp}.`));
    try {
      await writeTree(fresh, files);
      await chmod(fresh, 0o755);
      await rm(`${data}_tmp`, { force: true });
      await symlink(basename(fresh), `${data}_tmp`);
      await rename(`${data}_tmp`, data);
    } catch (error) {
      await rm(fresh, { recursive: true, force: true });
      throw error;
    }
    const previous = current;
    current = { path: fresh, files };

    const wanted = new Set([...files.keys()].map((path) => path.split("/")[0]!).filter((name) => !reserved.has(name)));
    for (const name of wanted) {
      if (links.has(name)) continue;
      await symlink(join("..data", name), join(directory, name));
      links.add(name);
    }
    for (const name of links) if (!wanted.has(name)) await dropLink(name);
    if (previous) await rm(previous.path, { recursive: true, force: true });
    return true;
  };
  const dropLink = async (name: string): Promise<void> => {
    await unlinkLink(join(directory, name));
    links.delete(name);
  };
  return {
    write,
    async remove() {
      for (const name of links) await dropLink(name);
      await unlinkLink(`${data}_tmp`);
      await unlinkLink(data);
      if (current) await rm(current.path, { recursive: true, force: true });
      current = undefined;
    },
  };
}

/** What an earlier process that died left of such a directory, from its own marks alone. */
export async function removeRemains(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name);
    if (/^\.\.\d{4}(_\d\d){5}\./.test(name)) await rm(path, { recursive: true, force: true });
    else if (name === "..data" || name === "..data_tmp") await unlinkLink(path);
    else if ((await readlink(path).catch(() => "")).startsWith("..data/")) await unlinkLink(path);
  }
}

/** As for a subPath: plain files, each with its mode, below a directory that is made. */
export async function writeTree(directory: string, files: Payload): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  for (const [path, { data, mode }] of files) {
    const target = join(directory, path);
    await mkdir(dirname(target), { recursive: true, mode: 0o755 });
    await writeFile(target, data, { mode: 0o600, flag: "wx" });
    await chmod(target, mode);
  }
}

/** Somebody who put a file of their own in a link's place keeps it. */
async function unlinkLink(path: string): Promise<void> {
  try {
    if ((await lstat(path)).isSymbolicLink()) await unlink(path);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
  }
}

function isSame(a: Payload, b: Payload): boolean {
  if (a.size !== b.size) return false;
  for (const [path, { data, mode }] of a) {
    const other = b.get(path);
    if (!other || other.mode !== mode || !other.data.equals(data)) return false;
  }
  return true;
}
