import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { volumesError } from "../errors.ts";
import { holdersOf, mountAt } from "./mount-table.ts";

const run = promisify(execFile);

export interface UnmountOptions {
  /** Takes it off at once, whoever uses it; they keep what they have open for as long as it works. */
  force?: boolean;
}

/** Unmounts what is mounted at the path; nothing there is fine. Rejects with `VOLUMES_BUSY` (who uses it), `VOLUMES_UNMOUNT_FAILED`. */
export async function unmount(path: string, { force = false }: UnmountOptions = {}): Promise<void> {
  if (!(await mountAt(path))) return;
  const failures: unknown[] = [];
  for (const [program, ...args] of commands(path, force)) {
    try {
      await run(program!, args);
      return;
    } catch (error) {
      if (!(await mountAt(path))) return;
      failures.push(error);
    }
  }
  const said = failures.map((error) => String((error as { stderr?: string }).stderr || (error as Error).message).trim()).join("; ");
  const cause = new AggregateError(failures, said);
  if (!/busy/i.test(said)) throw volumesError("VOLUMES_UNMOUNT_FAILED", `could not unmount ${path}: ${said}`, { cause });
  const holders = await holdersOf(path);
  const who = holders.map(({ pid, name }) => `${name} (${pid})`).join(", ");
  throw volumesError("VOLUMES_BUSY", `${path} is in use${who === "" ? "" : ` by ${who}`}`, {
    hint: "end what uses it, or leave the directory; by force it is taken off all the same",
    cause,
    details: { path, holders },
  });
}

/**
 * `fusermount3` is set-UID where an ordinary user may mount; `umount` is there for root where it isn't. Neither may ask the file system itself:
 * while that stands still the asker would wait, and not even SIGKILL would end it.
 */
function commands(path: string, force: boolean): string[][] {
  const lazily = force ? ["-z"] : [];
  const all = [["fusermount3", "-u", ...lazily, "--", path]];
  if (process.getuid?.() === 0) all.push(["umount", force ? "-l" : "--no-canonicalize", "--", path]);
  return all;
}

/** Takes off a mount of ours whose process has died. True where there was one. Anybody else's stays. */
export async function removeStaleMount(path: string): Promise<boolean> {
  if (process.platform !== "linux") return false;
  const found = await mountAt(path);
  if (!found || !OUR_TYPES.has(found.type) || !found.source.startsWith(SOURCE)) return false;
  await unmount(path, { force: true });
  return true;
}

/** Begins the source of each of our mounts, by which they are known in `mount` and `df`. */
export const SOURCE = "shipside:";

/** Of sshfs, and of our own FUSE server. */
const OUR_TYPES: ReadonlySet<string> = new Set(["fuse.sshfs", "fuse.shipside"]);
