import { open, readFile, rename, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { codeOf, hasCode } from "@shipside/core";
import { copyOwnership, syncFolder } from "./atomic-write.ts";
import { ownersIn, withoutOwners } from "./block.ts";
import { hostsError } from "./errors.ts";
import type { Snapshot } from "./snapshot.ts";

const backupPath = (side: string): string => `${side}.shipside-backup`;

/**
 * Keeps a copy of the file as it was before any owner's first line, and never one with an owner's lines in it: while there are some,
 * the copy that exists is left alone, and one that is missing is made of the file without them. It stays after the last restore.
 */
export async function keepBackup(snapshot: Snapshot, side: string, token: string): Promise<void> {
  const path = backupPath(side);
  const existing = await readFile(path, "latin1").catch((error) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  });
  if (existing !== undefined && (existing === snapshot.text || ownersIn(snapshot.text).size > 0)) return;
  const temporary = `${side}.shipside-tmp-${token}`;
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(withoutOwners(snapshot.text), "latin1");
      // A copy that we may not give away is still a copy.
      await copyOwnership(handle, snapshot).catch((error) => {
        if (!hasCode(error, "EPERM")) throw error;
      });
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await unlink(temporary).catch(() => {});
    if (hasCode(error, "ENOSPC", "EDQUOT")) {
      throw hostsError("HOSTS_DISK_FULL", `no room for the backup ${path}; ${snapshot.target} is unchanged`, {
        cause: error,
        hint: `free some space on the file system of ${dirname(path)}`,
      });
    }
    throw hostsError("HOSTS_UNWRITABLE", `could not write the backup ${path}; ${snapshot.target} is unchanged`, {
      cause: error,
      hint: "run as root, or give a `backupDir` that can be written",
    });
  }
}
