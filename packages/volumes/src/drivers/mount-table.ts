import { readdir, readFile, readlink } from "node:fs/promises";
import { type MountEntry, parseMountInfo } from "@shipside/core";

/** What the kernel says of mounts and of who uses them (proc(5)): asking the file system itself could wait for ever. */

/** The uppermost mount at just this path; undefined where there is none. */
export async function mountAt(path: string): Promise<MountEntry | undefined> {
  const all = parseMountInfo(await readFile("/proc/self/mountinfo", "utf8"));
  return all.filter((entry) => entry.path === path).at(-1);
}

export interface Holder {
  pid: number;
  name: string;
}

/** Who has something open, or works, below the path; of the processes that this user may look into. */
export async function holdersOf(path: string): Promise<Holder[]> {
  const inside = (target: string): boolean => target === path || target.startsWith(`${path}/`);
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const fds = await readdir(`/proc/${pid}/fd`).catch(() => []);
      const links = [`/proc/${pid}/cwd`, `/proc/${pid}/root`, ...fds.map((fd) => `/proc/${pid}/fd/${fd}`)];
      const targets = await Promise.all(links.map((link) => readlink(link).catch(() => "")));
      if (!targets.some(inside)) return undefined;
      const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "?");
      return { pid: Number(pid), name: name.trim() };
    }),
  );
  return found.filter((holder) => holder !== undefined);
}
