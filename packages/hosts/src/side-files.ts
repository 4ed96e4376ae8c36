import { constants } from "node:fs";
import { access, mkdir, readdir, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hasCode, isTokenDead, TOKEN_PATTERN } from "@shipside/core";
import { hostsError } from "./errors.ts";

/**
 * The path whose name, extended, our own files for `target` have (lock, temporary files): beside it, where its real place is, so that
 * every owner of the file meets there. Where that folder can't be written (a file bind-mounted into a read-only tree),
 * `fallback`. Rejects with `HOSTS_UNWRITABLE`.
 */
export async function sidePrefix(target: string, fallback: string | undefined): Promise<string> {
  const refused = (await refusal(target)) ?? (await refusal(dirname(target)));
  if (refused === undefined) return target;
  if (fallback !== undefined && (await refusal(target)) === undefined) {
    await mkdir(fallback, { recursive: true });
    return join(fallback, basename(target));
  }
  // What even root may not is not about the user.
  if (hasCode(refused, "EPERM", "EROFS")) {
    throw hostsError("HOSTS_UNWRITABLE", `${target} can't be changed by anybody: it, or its folder, is immutable or read-only`, {
      cause: refused,
      hint: "`lsattr` shows such an attribute and `sudo chattr -i` takes it away; `findmnt -T` shows a read-only file system",
    });
  }
  throw hostsError("HOSTS_UNWRITABLE", `${target} can't be changed by this user`, {
    cause: refused,
    hint: "run as root (Administrator on Windows); where only its folder can't be written, give a `backupDir` that can",
  });
}

const refusal = (path: string): Promise<unknown> =>
  access(path, constants.W_OK).then(
    () => undefined,
    (error) => error,
  );

/** Removes what processes that died in the middle of a write left. Called under the lock. */
export async function sweep(side: string): Promise<void> {
  const folder = dirname(side);
  const prefix = `${basename(side)}.shipside-tmp-`;
  const pattern = new RegExp(`^${TOKEN_PATTERN}$`);
  for (const name of await readdir(folder)) {
    const token = name.startsWith(prefix) ? name.slice(prefix.length) : "";
    if (pattern.test(token) && (await isTokenDead(token))) await unlink(join(folder, name)).catch(() => {});
  }
}
