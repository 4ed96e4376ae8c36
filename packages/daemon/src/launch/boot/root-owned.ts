import { lstat, realpath } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Why somebody besides root could change what lies at `path` or put something else there, or undefined where nobody could. Looks at the
 * file itself and at every folder above it, links followed.
 */
export async function changeableByOthers(path: string): Promise<string | undefined> {
  for (let at = await realpath(path); ; at = dirname(at)) {
    const { uid, gid, mode } = await lstat(at);
    if (uid !== 0) return `${at} belongs to uid ${uid}`;
    if (mode & 0o002) return `${at} can be written by everybody`;
    if (mode & 0o020 && gid !== 0) return `${at} can be written by group ${gid}`;
    if (at === dirname(at)) return undefined;
  }
}
