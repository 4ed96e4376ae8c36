import { lstat, mkdir, readdir, readFile, realpath, rename, rm, rmdir, stat, unlink, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { type Closable, codeOf, createCloser, hasCode, isTokenDead, newToken } from "@shipside/core";
import { removeRemains } from "./atomic-directory.ts";
import { sweepBridges } from "./drivers/sshfs/bridge-server.ts";
import { removeSynced } from "./drivers/sync/journal.ts";
import { removeStaleMount } from "./drivers/unmount.ts";
import { volumesError } from "./errors.ts";
import { removeTree } from "./remove-tree.ts";

/** What stands at a place, and so how a later process may clear it when this one has died. Of `mount`s it takes off those of sshfs. */
export type PlaceKind = "payload" | "copy" | "mount";

export interface OwnedDirectory extends Closable {
  /** Absolute. */
  readonly path: string;
  /** Makes a directory below it, and returns its absolute path; nothing on the way may be a symbolic link. */
  ensure(relative: string): Promise<string>;
}

const MARKER = ".shipside-volumes";

interface Marker {
  token: string;
  /** As the caller calls itself: see {@link clearVolumes}. */
  owner?: string;
  /** The outermost directory that had to be made. */
  made?: string;
  places: Array<{ path: string; kind: PlaceKind }>;
}

/**
 * Takes an empty or absent directory for volumes. A file in it says whose it is: what a process that died left there is cleared.
 * `close` removes the directories that were made and are empty. Rejects with `VOLUMES_DIR_NOT_EMPTY`, `VOLUMES_DIR_BUSY`,
 * `VOLUMES_UNWRITABLE`.
 */
export async function claimDirectory(dir: string, places: Marker["places"], owner?: string): Promise<OwnedDirectory> {
  const path = resolve(dir);
  const marker = join(path, MARKER);
  const closer = createCloser();
  let made: string | undefined;
  try {
    made = (await mkdir(path, { recursive: true, mode: 0o700 })) ?? (await succeed(path, marker));
    await refuseOthers(path);
    const token = await newToken();
    const record: Marker = { token, ...(owner !== undefined && { owner }), ...(made !== undefined && { made }), places };
    await writeFile(marker, `${JSON.stringify(record)}\n`, { flag: "wx", mode: 0o600 });
  } catch (cause) {
    if (hasCode(cause, "VOLUMES_DIR_NOT_EMPTY", "VOLUMES_DIR_BUSY")) throw cause;
    const isDirectory = await stat(path).then(
      (found) => found.isDirectory(),
      () => undefined,
    );
    if (hasCode(cause, "EEXIST") && isDirectory) throw busy(path);
    const why = isDirectory === false ? "it is no directory" : (codeOf(cause) ?? cause);
    throw volumesError("VOLUMES_UNWRITABLE", `could not take ${path} for volumes: ${why}`, {
      cause,
      hint: "give a directory that you may write to, empty or not there yet",
    });
  }
  closer.defer(async () => {
    await rm(marker, { force: true });
    if (made !== undefined) await removeEmpty(path, made);
  });
  return {
    path,
    async ensure(relative) {
      let at = path;
      for (const part of relative.split("/")) {
        at = join(at, part);
        const own = at;
        if (await makeDirectory(at)) closer.defer(() => removeIfEmpty(own));
      }
      return at;
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

/** Clears what a dead process left, and returns the outermost directory that it had made. */
async function succeed(path: string, marker: string): Promise<string | undefined> {
  const found = await readMarker(path, marker);
  if (!found) return undefined;
  if (!(await isTokenDead(found.token))) throw busy(path);
  if (!(await clear(path, marker, found))) throw busy(path);
  return found.made;
}

/**
 * Removes what `openVolumes` left in `dir` for this `owner`, whose process is gone or has given it up. Mounts must have been taken away;
 * one that is still there is left alone. Does nothing where the directory is somebody else's by now, or not there.
 */
export async function clearVolumes(dir: string, owner: string): Promise<void> {
  const path = resolve(dir);
  const marker = join(path, MARKER);
  const found = await readMarker(path, marker).catch((error: unknown) => {
    // Who may not look into it has made nothing there.
    if (!hasCode(error, "EACCES", "EPERM")) throw error;
  });
  if (found?.owner !== owner || !(await clear(path, marker, found))) return;
  if (found.made !== undefined) await removeEmpty(path, found.made);
}

/** Whether there is something for {@link clearVolumes}. */
export async function volumesLeft(dir: string, owner: string): Promise<boolean> {
  const path = resolve(dir);
  return (await readMarker(path, join(path, MARKER)).catch(() => undefined))?.owner === owner;
}

/** False where another does it: one of several can rename the marker. */
async function clear(path: string, marker: string, { places }: Marker): Promise<boolean> {
  const taken = `${marker}-${await newToken()}`;
  try {
    await rename(marker, taken);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
  try {
    // A mount is known by the path that the system calls it by. Of the directory alone: one whose server is dead doesn't answer.
    const real = await realpath(path);
    for (const { path: place, kind } of places.toReversed()) {
      const at = join(real, place);
      if (kind === "payload") await removeRemains(at);
      if (kind === "mount" && !(await removeStaleMount(at))) await removeSynced(at);
      if (kind === "copy") await removeTree(at);
      await removeEmpty(at, real, false);
    }
    if (places.some(({ kind }) => kind === "mount")) await sweepBridges();
  } catch (error) {
    // For the next try.
    await rename(taken, marker);
    throw error;
  }
  await unlink(taken);
  return true;
}

async function readMarker(path: string, marker: string): Promise<Marker | undefined> {
  try {
    return parseMarker(path, await readFile(marker, "utf8"));
  } catch (error) {
    if (hasCode(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

function parseMarker(path: string, text: string): Marker {
  try {
    const marker = JSON.parse(text) as Marker;
    const inside = marker.places.every(({ path: place }) => !place.split("/").includes(".."));
    if (typeof marker.token === "string" && inside) return marker;
  } catch {}
  throw volumesError("VOLUMES_DIR_NOT_EMPTY", `${path} has a ${MARKER} that can't be read`, {
    hint: "look what it is, and delete it",
  });
}

async function refuseOthers(path: string): Promise<void> {
  const names = await readdir(path);
  if (names.includes(MARKER)) throw busy(path);
  if (names.length === 0) return;
  throw volumesError("VOLUMES_DIR_NOT_EMPTY", `${path} is not empty: ${names.slice(0, 3).join(", ")}`, {
    hint: "give a directory that is empty or doesn't exist",
    details: { path, names: names.slice(0, 20) },
  });
}

const busy = (path: string): Error =>
  volumesError("VOLUMES_DIR_BUSY", `${path} holds the volumes of another process that runs`, {
    hint: "close that one, or give another directory",
    details: { path },
  });

/** False where it was there. */
async function makeDirectory(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw volumesError("VOLUMES_UNWRITABLE", `could not make ${path}`, { cause: error });
  }
  if ((await lstat(path)).isDirectory()) return false;
  throw volumesError("VOLUMES_PATH_UNSAFE", `${path} is to hold a volume, but is no directory`, {
    hint: "an outer volume has a file or a link of this name",
  });
}

/** From `path` outwards as far as `last` (itself only where `inclusive`), while they are empty. */
async function removeEmpty(path: string, last: string, inclusive = true): Promise<void> {
  for (let at = path; at !== dirname(at); at = dirname(at)) {
    if (at === last && !inclusive) return;
    if (!(await removeIfEmpty(at)) || at === last) return;
  }
}

/** False where something is in it. */
async function removeIfEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return true;
    if (hasCode(error, "ENOTEMPTY", "EEXIST", "ENOTDIR", "EBUSY")) return false;
    throw volumesError("VOLUMES_UNWRITABLE", `could not remove ${path}`, { cause: error });
  }
}
