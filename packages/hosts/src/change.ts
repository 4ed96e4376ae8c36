import { basename, join } from "node:path";
import { acquireFileLock, hasCode, type Logger, type ShipsideError } from "@shipside/core";
import { replaceFile } from "./atomic-write.ts";
import { keepBackup } from "./backup.ts";
import { hostsError } from "./errors.ts";
import { recoverInPlace } from "./in-place.ts";
import { sidePrefix, sweep } from "./side-files.ts";
import { readSnapshot } from "./snapshot.ts";

export interface ChangeOptions {
  path: string;
  /** Who changes it, for whoever waits meanwhile. */
  owner: string;
  backupDir: string | undefined;
  lockTimeoutMs: number;
  signal: AbortSignal;
  logger: Logger;
  /** Keep a copy of the file as it was before the first owner. */
  backup: boolean;
}

/**
 * Changes the file under the lock: reads it, has `edit` say what it shall be, and writes that unless somebody wrote meanwhile, in which
 * case it starts over. Resolves to the text before and after.
 */
export async function changeHosts(
  options: ChangeOptions,
  edit: (text: string) => string,
): Promise<{ before: string; after: string }> {
  const { path, owner, backupDir, lockTimeoutMs, signal, logger, backup } = options;
  const { target } = await readSnapshot(path);
  const side = await sidePrefix(target, backupDir);
  const request = { path: `${side}.shipside-lock`, what: path, owner, timeoutMs: lockTimeoutMs, signal };
  const lock = await acquireFileLock(request).catch((error) => Promise.reject(lockFailure(error, side)));
  try {
    await sweep(side);
    await recoverInPlace(path, side, logger);
    for (;;) {
      signal.throwIfAborted();
      const snapshot = await readSnapshot(path);
      const after = edit(snapshot.text);
      const change = { before: snapshot.text, after };
      if (after === snapshot.text) return change;
      if (backup) await keepBackup(snapshot, backupDir ? join(backupDir, basename(target)) : side, lock.token);
      if ((await replaceFile(snapshot, after, { side, token: lock.token, logger })) === "written") return change;
      logger.debug("hosts file was edited meanwhile, starting over", { path });
    }
  } finally {
    await lock.release();
  }
}

function lockFailure(error: unknown, side: string): unknown {
  if (hasCode(error, "LOCK_HELD")) {
    const { message, hint, details } = error as ShipsideError;
    return hostsError("HOSTS_LOCKED", message, { ...(hint && { hint }), ...(details && { details }), cause: error });
  }
  if (hasCode(error, "ENOSPC", "EDQUOT")) {
    return hostsError("HOSTS_DISK_FULL", `no room for the lock file of ${side}; the hosts file is unchanged`, {
      cause: error,
      hint: "free some space on its file system",
    });
  }
  if (hasCode(error, "EACCES", "EPERM", "EROFS")) {
    return hostsError("HOSTS_UNWRITABLE", `could not make the lock file of ${side}`, {
      cause: error,
      hint: "run as root, or give a `backupDir` that can be written",
    });
  }
  return error;
}
