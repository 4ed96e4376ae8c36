import { chmodSync, closeSync, fchmodSync, futimesSync, linkSync, mkdirSync, openSync, symlinkSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { hasCode } from "@shipside/core";
import { volumesError } from "../errors.ts";
import type { TarEntry } from "./tar-reader.ts";

export interface Unpacked {
  files: number;
  bytes: number;
  /** Names that were left out: devices, pipes, sockets, and links that lead out of the directory. */
  skipped: string[];
}

/** So long others may have to wait for this process, in ms: done here and now a small file takes a tenth of what a thread's takes. */
const BUSY_MS = 10;
/** From this length on, in bytes, a thread writes it. */
const LARGE = 256 * 1024;

/**
 * Unpacks into an empty directory that nobody else writes to. Files lose their write bits; owners, set-id bits and directories' times
 * aren't taken over. Symbolic links come last, so that no entry is ever written through one. Rejects with `VOLUMES_PATH_UNSAFE` for a
 * name that leads out, and with what the file system says.
 */
export async function unpack(entries: Iterable<TarEntry>, directory: string, signal: AbortSignal): Promise<Unpacked> {
  const result: Unpacked = { files: 0, bytes: 0, skipped: [] };
  const links: Array<{ name: string; target: string }> = [];
  const written = new Set<string>();
  const made = new Set<string>();
  const makeParent = (path: string): void => {
    const parent = dirname(path);
    if (made.has(parent)) return;
    mkdirSync(parent, { recursive: true });
    made.add(parent);
  };
  let began = performance.now();
  for (const { name: raw, type, mode, mtime, target, data } of entries) {
    if (performance.now() - began > BUSY_MS) {
      await turn();
      began = performance.now();
    }
    signal.throwIfAborted();
    const name = inside(raw);
    const path = join(directory, name);
    if (name === "") continue;
    if (type === "directory") {
      mkdirSync(path, { recursive: true });
      // Its owner must be able to remove it.
      chmodSync(path, mode | 0o700);
    } else if (type === "file") {
      makeParent(path);
      const as = { mode: (mode & ~0o222) | 0o400, mtime };
      if (data.length < LARGE) writeAtOnce(path, data, as);
      else await writeLarge(path, data, as);
      written.add(name);
      result.files++;
      result.bytes += data.length;
    } else if (type === "hardlink" && written.has(inside(target))) {
      makeParent(path);
      linkSync(join(directory, inside(target)), path);
      written.add(name);
      result.files++;
    } else if (type === "symlink" && staysInside(name, target)) {
      makeParent(path);
      links.push({ name, target });
    } else result.skipped.push(name);
  }
  for (const { name, target } of links) {
    try {
      symlinkSync(target, join(directory, name));
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
      result.skipped.push(name);
    }
  }
  return result;
}

interface FileFacts {
  mode: number;
  /** Seconds since 1970; NaN where it isn't known. */
  mtime: number;
}

function writeAtOnce(path: string, data: Buffer, { mode, mtime }: FileFacts): void {
  const fd = openSync(path, "wx", 0o600);
  try {
    for (let done = 0; done < data.length; ) done += writeSync(fd, data, done);
    fchmodSync(fd, mode);
    if (Number.isFinite(mtime)) futimesSync(fd, mtime, mtime);
  } finally {
    closeSync(fd);
  }
}

async function writeLarge(path: string, data: Buffer, { mode, mtime }: FileFacts): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.writeFile(data);
  await file.chmod(mode);
  if (Number.isFinite(mtime)) await file.utimes(mtime, mtime);
}

/** Without `.` and slashes at the ends; "" is the directory itself. */
function inside(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || name.includes("\0")) {
    throw volumesError(
      "VOLUMES_PATH_UNSAFE",
      `the archive has an entry ${JSON.stringify(name)}, which would lead out of its directory`,
    );
  }
  return parts.join("/");
}

/**
 * Only as many `..` as the link is deep, and none after a name: that name may be a link itself, and its `..` another place than it
 * seems. A link whose parents are real directories and which keeps to this can't lead out, whatever other such links it goes through.
 */
function staysInside(name: string, target: string): boolean {
  if (target === "" || target.startsWith("/") || /[\0\\]/.test(target)) return false;
  const parts = target.split("/").filter((part) => part !== "" && part !== ".");
  const ups = parts.findIndex((part) => part !== "..");
  const leading = ups === -1 ? parts.length : ups;
  return leading < name.split("/").length && !parts.slice(leading).includes("..");
}
