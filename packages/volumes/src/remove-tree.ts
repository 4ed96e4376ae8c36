import { lstat, readdir, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, hasCode } from "@shipside/core";
import { volumesError } from "./errors.ts";

/**
 * Removes a folder with all that is in it on this machine; nothing there is fine. Another file system that is still mounted inside, which
 * may be a volume in the cluster, is left whole, and the way to it: then it rejects with `VOLUMES_UNWRITABLE`, as for what can't be removed.
 */
export async function removeTree(path: string): Promise<void> {
  const root = await lstatIfThere(path);
  if (root) await removeOn(root.dev, path);
}

/** As {@link removeTree}, but the folder itself stays. */
export async function emptyTree(path: string): Promise<void> {
  const root = await lstatIfThere(path);
  if (!root) return;
  for (const name of await readdir(path)) await removeOn(root.dev, join(path, name));
}

async function removeOn(device: number, path: string): Promise<void> {
  try {
    const found = await lstatIfThere(path);
    if (!found) return;
    if (!found.isDirectory()) return await unlink(path);
    if (found.dev !== device) {
      throw volumesError("VOLUMES_UNWRITABLE", `something is still mounted at ${path}: what is in it is left as it is`, {
        hint: `unmount it (umount ${path}), and clean again`,
        details: { path },
      });
    }
    for (const name of await readdir(path)) await removeOn(device, join(path, name));
    await rmdir(path);
  } catch (cause) {
    if (hasCode(cause, "VOLUMES_UNWRITABLE")) throw cause;
    throw volumesError("VOLUMES_UNWRITABLE", `could not remove ${path}: ${codeOf(cause) ?? cause}`, { cause });
  }
}

async function lstatIfThere(path: string) {
  return await lstat(path).catch((error: unknown) => {
    if (!hasCode(error, "ENOENT", "ENOTDIR")) throw error;
  });
}
