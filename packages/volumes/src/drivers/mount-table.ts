import { readdir, readFile, readlink } from "node:fs/promises";

/** Reads what the kernel says of mounts and of who uses them (proc(5)): asking the file system itself could wait for ever. */

export interface MountEntry {
  /** `major:minor` */
  device: string;
  path: string;
  /** `fuse.sshfs` */
  type: string;
  source: string;
}

/** Lines of `/proc/self/mountinfo`. Pure. */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split("\n").flatMap((line) => {
    const [before = "", after] = line.split(" - ");
    const [, , device, , path] = before.split(" ");
    const [type, source] = after?.split(" ") ?? [];
    if (!device || !path || !type) return [];
    return [{ device, path: plain(path), type, source: plain(source ?? "") }];
  });
}

/** Space, tab, line feed and backslash are octal there. */
const plain = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

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
