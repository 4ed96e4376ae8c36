import { mkdir, realpath, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { mirror } from "./mirror.ts";
import { mount } from "./program.ts";
import type { Fields } from "./requests.ts";

/** Folders that are of these namespaces alone: what is made in them is on no disk. */
const ours = new Set<string>();

/**
 * Shows `source`, a folder or a file, at `target`. Where that isn't there, it is made: not on the disk, but in a folder in memory that takes
 * the place of the one that should have it, with all that was in it. Rejects with code `UNSEEN` where `source` is another file system
 * outside, and `OWNED` where it would have to be made in a folder that the user may write to.
 */
export async function mountAt({ source, target, readOnly, device }: Fields<"mount">): Promise<void> {
  const what = await stat(source);
  // Another than outside is seen where that is mounted here alone.
  const isMount = what.dev !== (await stat(dirname(source))).dev;
  if (what.dev !== device && !isMount) throw coded("UNSEEN", `${source} is a mount that is not seen in the namespaces`);
  const place = await placeFor(target, what.isDirectory());
  await mount(["--rbind", source, place]);
  if (readOnly) await mount(["-o", "remount,bind,ro", place]);
}

async function placeFor(target: string, directory: boolean): Promise<string> {
  const missing: string[] = [];
  let there = target;
  while (!(await exists(there))) {
    missing.unshift(basename(there));
    there = dirname(there);
  }
  // Resolved, as `/var/run` is a link to `/run`.
  let path = await realpath(there);
  if (missing.length > 0 && !ours.has(path)) {
    await assertNotTheUsers(path, target);
    await mirror(path);
    ours.add(path);
  }
  for (const [index, name] of missing.entries()) {
    path = join(path, name);
    if (index === missing.length - 1 && !directory) await writeFile(path, "");
    else {
      await mkdir(path);
      ours.add(path);
    }
  }
  return path;
}

/** What the user's programs put into a folder must not go with the namespaces. */
async function assertNotTheUsers(path: string, target: string): Promise<void> {
  // As everywhere in these namespaces, the user is root; who is root outside may write anywhere.
  const { uid, mode } = await stat(path);
  if (process.env["SHIPSIDE_UID"] === "0" || (uid !== 0 && (mode & 0o002) === 0)) return;
  throw coded("OWNED", `${target} is not there, and ${path}, which would have it, is a folder that you write to`);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

const coded = (code: string, message: string): Error => Object.assign(new Error(message), { code });
