import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Payload } from "./payload.ts";

/**
 * Makes `directory` show exactly `files`, all at once, as the kubelet does it: the files stand in a directory with a time in its name,
 * `..data` is a symbolic link to it that is replaced by a rename, and each top-level name is a link through `..data`. A reader sees
 * either all old or all new files. Returns false where nothing had to change.
 */
export function writeAtomically(directory: string, files: Payload): boolean {
  mkdirSync(directory, { recursive: true });
  const data = join(directory, "..data");
  const previous = linkTarget(data);
  if (previous !== undefined && same(join(directory, previous), files)) return false;

  const stamp = new Date().toISOString().replace(/[-:]/g, "_").replace("T", "_").slice(0, 19);
  const fresh = mkdtempSync(join(directory, `..${stamp}.`));
  chmodSync(fresh, 0o755);
  for (const [path, { data: bytes, mode }] of files) {
    const target = join(fresh, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes);
    chmodSync(target, mode);
  }
  symlinkSync(fresh.slice(directory.length + 1), join(directory, "..data_tmp"));
  renameSync(join(directory, "..data_tmp"), data);

  const wanted = new Set([...files.keys()].map((path) => path.split("/")[0]!));
  for (const name of readdirSync(directory)) {
    if (name.startsWith("..") || wanted.delete(name)) continue;
    // Anything else is the mount point of a volume inside this one.
    if (linkTarget(join(directory, name))?.startsWith("..data/")) rmSync(join(directory, name), { force: true });
  }
  for (const name of wanted) symlinkSync(join("..data", name), join(directory, name));
  if (previous !== undefined) rmSync(join(directory, previous), { recursive: true, force: true });
  return true;
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function same(directory: string, files: Payload): boolean {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  if (names.length !== files.size) return false;
  for (const [path, { data, mode }] of files) {
    try {
      if ((statSync(join(directory, path)).mode & 0o777) !== (mode & 0o777)) return false;
      if (!readFileSync(join(directory, path)).equals(data)) return false;
    } catch {
      return false;
    }
  }
  return true;
}
