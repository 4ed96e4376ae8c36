import { execFile } from "node:child_process";
import { mkdir, readFile, realpath, rmdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { hasCode, parseMountInfo } from "@shipside/core";
import type { Journal } from "../journal.ts";
import type { ResidueKind } from "./kind.ts";

interface MountData extends Record<string, unknown> {
  /** Real, so that it is what the system calls it. */
  path: string;
  /** What stands first in the mount table's line (`sshfs#…`, `shipside`): a mount of anything else there isn't ours. Linux. */
  source?: string;
  /** The folder was made for it. */
  made: boolean;
}

export interface MadeMount {
  readonly path: string;
  /** Unmounts, at last lazily, takes the folder away where it was made for it, and strikes it out. */
  remove(): Promise<void>;
}

/**
 * A mount that is taken away whatever happens to this process. `mount` is given the real path of the folder, which is made where it is
 * missing; it resolves when it is mounted.
 */
export async function makeMount(
  journal: Journal,
  options: { path: string; source?: string },
  mount: (path: string) => Promise<void>,
  session?: string,
): Promise<MadeMount> {
  const { source } = options;
  const made = await realpath(options.path).then(
    () => false,
    () => true,
  );
  const path = made ? join(await realpath(dirname(options.path)), basename(options.path)) : await realpath(options.path);
  const data: MountData = { path, made, ...(source !== undefined && { source }) };
  const undone = await journal.record({ kind: mountResidue.kind, data }, session);
  const remove = async (): Promise<void> => {
    await unmount(data);
    await undone();
  };
  try {
    if (made) await mkdir(path, { mode: 0o700 });
    await mount(path);
  } catch (error) {
    await remove().catch(() => {});
    throw error;
  }
  return { path, remove };
}

/** A line of the mount table that is ours. Never looks at the folder itself: of a dead FUSE server that hangs or fails. */
async function isMounted({ path, source }: MountData): Promise<boolean> {
  if (process.platform !== "linux") {
    const { stdout } = await run("mount", []);
    return stdout.split("\n").some((line) => line.includes(` on ${path} (`));
  }
  return parseMountInfo(await readFile("/proc/self/mountinfo", "utf8")).some(
    (mount) => mount.path === path && (source === undefined || mount.source === source),
  );
}

const run = promisify(execFile);

/** In turn until it is gone: a FUSE mount of the user's own, root's way, and lazily what is in use or whose server is dead. */
const WAYS: ReadonlyArray<readonly [program: string, ...args: string[]]> =
  process.platform === "darwin"
    ? [["umount"], ["diskutil", "unmount", "force"]]
    : [["fusermount3", "-u"], ["fusermount", "-u"], ["umount"], ["fusermount3", "-uz"], ["fusermount", "-uz"], ["umount", "-l"]];

async function unmount(data: MountData): Promise<void> {
  const refusals: string[] = [];
  // Several may lie on each other, where a mount was repeated.
  for (let layer = 0; layer < 8 && (await isMounted(data)); layer++) {
    refusals.length = 0;
    for (const [program, ...args] of WAYS) {
      try {
        await run(program, [...args, data.path], { timeout: 5_000 });
        break;
      } catch (error) {
        if (!hasCode(error, "ENOENT")) refusals.push(((error as { stderr?: string }).stderr || (error as Error).message).trim());
      }
    }
    if (refusals.length > 0) await delay(20);
  }
  if (await isMounted(data)) throw new Error(`${data.path} is still mounted: ${[...new Set(refusals)].join("; ")}`);
  if (data.made) {
    await rmdir(data.path).catch((error) => {
      // With something in it, it isn't only ours any more.
      if (!hasCode(error, "ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR")) throw error;
    });
  }
}

export const mountResidue: ResidueKind<MountData> = {
  kind: "mount",
  place: "machine",
  describe: ({ path }) => `mount ${path}`,
  undo: unmount,
  left: async (data) => ((await isMounted(data)) ? `mount ${data.path}` : undefined),
};
