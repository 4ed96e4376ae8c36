import { realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { holdersOf, unmount, volumesError } from "@shipside/volumes";

/**
 * `VOLUMES_BUSY` where processes of this user work in one of the mounted directories below `dir`; undefined where none does. Asks the kernel
 * alone, so it answers also where a drive's server doesn't. Linux; elsewhere nobody is known.
 */
export async function volumesInUse(drives: readonly string[], dir: string, session: string): Promise<Error | undefined> {
  if (process.platform !== "linux" || drives.length === 0) return undefined;
  const paths = await realPaths(drives, dir);
  const found = await Promise.all(drives.map(async (path, index) => ({ path, holders: await holdersOf(paths[index]!) })));
  const busy = found.filter(({ holders }) => holders.length > 0);
  if (busy.length === 0) return undefined;
  const who = busy.map(({ path, holders }) => `${path} by ${holders.map(({ pid, name }) => `${name} (${pid})`).join(", ")}`);
  return volumesError("VOLUMES_BUSY", `in use: ${who.join("; ")}`, {
    hint: `end that, or leave the directory; \`shipside session close ${session} --force\` takes it off all the same`,
    details: { busy },
  });
}

/** Of the directory alone: a drive itself may not answer. */
async function realPaths(drives: readonly string[], dir: string): Promise<string[]> {
  const real = await realpath(dir);
  return drives.map((path) => join(real, relative(dir, path)));
}

/** Takes off those that are mounted, whoever uses them. What can't be taken off is told by who closes it. */
export async function takeOff(drives: readonly string[], dir: string): Promise<void> {
  await Promise.allSettled((await realPaths(drives, dir)).map((path) => unmount(path, { force: true })));
}

/** A process that has just been told to end may need a moment. */
const PATIENCE_MS = 3_000;

/** Asks until nobody is there any more; who still is after three seconds. */
export async function untilUnused(inUse: () => Promise<Error | undefined>): Promise<Error | undefined> {
  for (const until = performance.now() + PATIENCE_MS; ; await delay(100)) {
    const busy = await inUse();
    if (!busy || performance.now() > until) return busy;
  }
}
