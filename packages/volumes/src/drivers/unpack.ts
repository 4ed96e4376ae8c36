import { chmod, link, mkdir, symlink, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { hasCode } from "@shipside/core";
import { volumesError } from "../errors.ts";
import type { TarEntry } from "./tar-reader.ts";

export interface Unpacked {
  files: number;
  bytes: number;
  /** Names that were left out: devices, pipes, sockets, and links that lead out of the directory. */
  skipped: string[];
}

/**
 * Unpacks into an empty directory that nobody else writes to. Files lose their write bits; owners, set-id bits and directories' times
 * aren't taken over. Symbolic links come last, so that no entry is ever written through one. Rejects with `VOLUMES_PATH_UNSAFE` for a
 * name that leads out, and with what the file system says.
 */
export async function unpack(entries: Iterable<TarEntry>, directory: string, signal: AbortSignal): Promise<Unpacked> {
  const result: Unpacked = { files: 0, bytes: 0, skipped: [] };
  const links: Array<{ name: string; target: string }> = [];
  const written = new Set<string>();
  for (const { name: raw, type, mode, mtime, target, data } of entries) {
    signal.throwIfAborted();
    const name = inside(raw);
    const path = join(directory, name);
    if (name === "") continue;
    if (type === "directory") {
      await mkdir(path, { recursive: true });
      // Its owner must be able to remove it.
      await chmod(path, mode | 0o700);
    } else if (type === "file") {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, data, { flag: "wx", mode: 0o600 });
      await chmod(path, (mode & ~0o222) | 0o400);
      if (Number.isFinite(mtime)) await utimes(path, mtime, mtime);
      written.add(name);
      result.files++;
      result.bytes += data.length;
    } else if (type === "hardlink" && written.has(inside(target))) {
      await mkdir(dirname(path), { recursive: true });
      await link(join(directory, inside(target)), path);
      written.add(name);
      result.files++;
    } else if (type === "symlink" && staysInside(name, target)) {
      await mkdir(dirname(path), { recursive: true });
      links.push({ name, target });
    } else result.skipped.push(name);
  }
  for (const { name, target } of links) {
    try {
      await symlink(target, join(directory, name));
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
      result.skipped.push(name);
    }
  }
  return result;
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
