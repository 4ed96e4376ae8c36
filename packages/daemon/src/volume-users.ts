import { realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { holdersOf, volumesError } from "@shipside/volumes";

/**
 * `VOLUMES_BUSY` where processes of this user work in one of the mounted directories below `dir`; undefined where none does. Asks the kernel
 * alone, so it answers also where a drive's server doesn't. Linux; elsewhere nobody is known.
 */
export async function volumesInUse(drives: readonly string[], dir: string, session: string): Promise<Error | undefined> {
  if (process.platform !== "linux" || drives.length === 0) return undefined;
  // Of the directory alone: the drive itself may not answer.
  const real = await realpath(dir);
  const found = await Promise.all(
    drives.map(async (path) => ({ path, holders: await holdersOf(join(real, relative(dir, path))) })),
  );
  const busy = found.filter(({ holders }) => holders.length > 0);
  if (busy.length === 0) return undefined;
  const who = busy.map(({ path, holders }) => `${path} by ${holders.map(({ pid, name }) => `${name} (${pid})`).join(", ")}`);
  return volumesError("VOLUMES_BUSY", `in use: ${who.join("; ")}`, {
    hint: `end that, or leave the directory; \`shipside session close ${session} --force\` takes it off all the same`,
    details: { busy },
  });
}

/** A process that has just been told to end may need a moment. */
const PATIENCE_MS = 1_000;

/** Asks until nobody is there any more; who still is after a second. */
export async function untilUnused(inUse: () => Promise<Error | undefined>): Promise<Error | undefined> {
  for (const until = performance.now() + PATIENCE_MS; ; await delay(100)) {
    const busy = await inUse();
    if (!busy || performance.now() > until) return busy;
  }
}
