import { existsSync } from "node:fs";
import { type FileHandle, open, rename, truncate, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf, hasCode, type Logger } from "@shipside/core";
import { hostsError } from "./errors.ts";
import { writeInPlace } from "./in-place.ts";
import { hasChanged, type Snapshot } from "./snapshot.ts";

export interface WriteOptions {
  /** Where temporary files of an in-place write go, and the prefix of their names. */
  side: string;
  token: string;
  logger: Logger;
}

/** What rename(2) says of a mount point, of another file system, of a folder or file it may not touch, and Windows of an open file. */
const NO_RENAME = ["EBUSY", "EXDEV", "EPERM", "EACCES", "EROFS", "ENOTSUP"];
const NO_ROOM = ["ENOSPC", "EDQUOT"];

/**
 * Puts `text` in the place of the snapshot's file: by a rename where that can be done, so that a reader sees the old file or the new
 * one; else in place. "changed": somebody else has written meanwhile, and nothing was. Rejects with `HOSTS_DISK_FULL` or
 * `HOSTS_UNWRITABLE`, and then the file is as it was.
 */
export async function replaceFile(snapshot: Snapshot, text: string, options: WriteOptions): Promise<"written" | "changed"> {
  try {
    const why = renameWouldLose(snapshot);
    if (why === undefined) {
      try {
        return await writeAndRename(snapshot, text, options.token);
      } catch (error) {
        if (!hasCode(error, ...NO_RENAME)) throw error;
        options.logger.debug("hosts file can't be replaced by a rename, writing in place", {
          path: snapshot.target,
          code: codeOf(error),
        });
      }
    } else options.logger.debug("hosts file is written in place", { path: snapshot.target, why });
    return await writeInPlace(snapshot, text, options);
  } catch (error) {
    if (!hasCode(error, ...NO_ROOM)) throw unwritable(snapshot.target, error);
    // Taking our lines off the end needs no room: a full disk must not keep us from cleaning up.
    if (snapshot.text.startsWith(text) && !(await hasChanged(snapshot))) {
      await truncate(snapshot.target, text.length).catch((cause) => Promise.reject(unwritable(snapshot.target, cause)));
      return "written";
    }
    throw hostsError("HOSTS_DISK_FULL", `no room to write ${snapshot.target}; it is unchanged`, {
      cause: error,
      hint: `free some space on the file system of ${dirname(snapshot.target)}`,
    });
  }
}

/** A new file keeps mode and owner, but not what only the old inode has. */
function renameWouldLose({ stat }: Snapshot): string | undefined {
  if (stat.nlink > 1n) return "it has other hard links";
  // A file made by us gets its folder's label, and confined services could no longer read it.
  if (existsSync("/sys/fs/selinux/enforce")) return "SELinux labels it";
  return undefined;
}

async function writeAndRename(snapshot: Snapshot, text: string, token: string): Promise<"written" | "changed"> {
  const temporary = `${snapshot.target}.shipside-tmp-${token}`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(text, "latin1");
      await copyOwnership(handle, snapshot);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (await hasChanged(snapshot)) {
      await unlink(temporary);
      return "changed";
    }
    await rename(temporary, snapshot.target);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  await syncFolder(dirname(snapshot.target));
  return "written";
}

/** Owner before mode: a change of owner may clear mode bits. */
export async function copyOwnership(handle: FileHandle, { stat }: Snapshot): Promise<void> {
  if (process.platform === "win32") return;
  const now = await handle.stat({ bigint: true });
  if (now.uid !== stat.uid || now.gid !== stat.gid) await handle.chown(Number(stat.uid), Number(stat.gid));
  await handle.chmod(Number(stat.mode & 0o7777n));
}

/** Makes a rename last through a power cut. Windows has no such call for folders. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems have nothing to sync for a folder.
    if (!hasCode(error, "EINVAL", "ENOTSUP", "EBADF")) throw error;
  } finally {
    await handle.close();
  }
}

function unwritable(path: string, cause: unknown): Error {
  if (codeOf(cause)?.startsWith("HOSTS_")) return cause as Error;
  return hostsError("HOSTS_UNWRITABLE", `could not write ${path}`, {
    cause,
    hint: "run as root (Administrator on Windows); if it is read-only or immutable on purpose, give another path",
  });
}
