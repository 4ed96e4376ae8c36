import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { open as openFile, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { abortError, createCloser, hasCode } from "@shipside/core";
import { volumesError } from "../../errors.ts";
import type { Drive, DriveOptions } from "../drive.ts";
import { missingForMounts } from "../missing.ts";
import { raiseReadAhead, restoreMode, stop, unmountInTheEnd } from "../mount-point.ts";
import { mountAt } from "../mount-table.ts";
import { SOURCE, unmount } from "../unmount.ts";
import { serveBridges } from "./bridge-server.ts";

const MOUNT_MS = 20_000;
const EXIT_MS = 1_000;

/** Mounts a directory that an SFTP server has. Codes: `VOLUMES_MOUNT_FAILED`, `VOLUMES_SUBPATH_MISSING`. */
export async function mountSshfs(options: DriveOptions): Promise<Drive> {
  const { localPath, remotePath, signal, logger } = options;
  signal.throwIfAborted();
  const closer = createCloser();
  let child: ChildProcess | undefined;
  try {
    // Open from before the mount, so that it is what lies under it.
    const under = await openFile(localPath, constants.O_RDONLY | constants.O_DIRECTORY);
    let mode: number;
    try {
      mode = (await under.stat()).mode & 0o7777;
      const bridges = closer.use(await serveBridges({ open: options.open, logger }));
      const args = [...(await sshfsArguments(options, bridges.command))];
      // Not of this process's group, or an interrupt at the terminal would end it before what is open is written.
      // By the channel the bridges, which sshfs starts, bring its sockets here.
      child = spawn("sshfs", args, { stdio: ["ignore", "ignore", "pipe", "ipc"], detached: true, cwd: "/" });
      child.on("message", bridges.take);
      await mounted(child, options);
      // If it is ever gone, nothing may be written to the local disk unnoticed. Root isn't kept from it.
      await under.chmod(0o555);
    } finally {
      await under.close();
    }
    await raiseReadAhead(localPath);
    const ended = child;
    closer.defer(() => restoreMode(localPath, mode));
    closer.defer(() => ended.exitCode === null && ended.signalCode === null && stop(ended));
    ended.unref();
    ended.channel?.unref();
  } catch (error) {
    await unmount(localPath, { force: true }).catch((failed: Error) =>
      logger.error("could not unmount", { error: failed.message }),
    );
    if (child) await stop(child);
    await closer.close().catch(() => {});
    if (signal.aborted) throw abortError(signal);
    if (hasCode(error, "VOLUMES_MOUNT_FAILED", "VOLUMES_SUBPATH_MISSING")) throw error;
    throw volumesError("VOLUMES_MOUNT_FAILED", `could not mount ${remotePath} at ${localPath}: ${(error as Error).message}`, {
      cause: error,
    });
  }

  closer.defer(() => unmountInTheEnd(localPath, logger));
  return {
    localPath,
    async unmount(how) {
      await unmount(localPath, how);
      await closer.close();
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

async function sshfsArguments({ name, localPath, remotePath, readOnly, cacheSeconds = 2 }: DriveOptions, command: string) {
  const options = [
    `ssh_command=${command}`,
    `fsname=${SOURCE}${name.replace(/[^\w./-]/g, "_")}`,
    // Without it sshfs unmounts itself when the stream ends.
    "reconnect",
    // What is in the page cache is thrown away when the file has changed there.
    "auto_cache",
    // The files' owner there is the one who mounts here.
    "idmap=user",
    `dcache_timeout=${cacheSeconds}`,
    `attr_timeout=${cacheSeconds}`,
    `entry_timeout=${cacheSeconds}`,
    // That a name isn't there is what git and npm ask most: before each file that they make.
    `negative_timeout=${cacheSeconds}`,
    "nosuid",
    "nodev",
    ...(readOnly ? ["ro"] : []),
    // The server tells none that lead out; sshfs's own check also refuses those that stay inside by way of `..`.
    ...((await knowsContainment()) ? ["no_contain_symlinks"] : []),
  ];
  return ["-f", `shipside:${remotePath}`, localPath, ...options.flatMap((each) => ["-o", each])];
}

/** An option of newer versions, which older ones would stumble over. */
async function knowsContainment(): Promise<boolean> {
  const help = spawn("sshfs", ["--help"], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  help.stdout.on("data", (chunk: Buffer) => {
    text += chunk;
  });
  help.on("error", () => {});
  await once(help, "close");
  return text.includes("contain_symlinks");
}

/** Resolves when the mount stands and its server has answered. */
async function mounted(child: ChildProcess, { localPath, remotePath, signal }: DriveOptions): Promise<void> {
  let said = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    said = (said + chunk).slice(-2_000);
  });
  const absent = (): Error => volumesError("VOLUMES_SUBPATH_MISSING", `the volume has nothing at ${remotePath}`);
  const failed = (why: string, cause?: unknown): Error =>
    /no such file or directory/i.test(said) && !/fuse:|ssh_command|fusermount/.test(said)
      ? absent()
      : volumesError("VOLUMES_MOUNT_FAILED", `sshfs could not mount ${remotePath} at ${localPath}: ${said.trim() || why}`, {
          cause,
        });
  const over = new AbortController();
  const until = AbortSignal.any([signal, over.signal, AbortSignal.timeout(MOUNT_MS)]);
  const ended = new Promise<never>((_, reject) => {
    child.once("error", (error) => reject(failed(error.message, error)));
    child.once("close", (code, by) => reject(failed(`it ended (${code ?? by})`)));
    until.addEventListener("abort", () =>
      reject(signal.aborted ? abortError(signal) : failed(`it took more than ${MOUNT_MS / 1000} s`)),
    );
  });
  ended.catch(() => {});
  const stands = async (): Promise<void> => {
    while (!until.aborted && (await mountAt(localPath))?.type !== "fuse.sshfs") await sleep(10);
    if (until.aborted) return;
    await stat(localPath).catch(async (error: unknown) => {
      if (hasCode(error, "ENOENT")) throw absent();
      // It is about to end, and then it has said why.
      await Promise.race([ended, sleep(EXIT_MS)]);
      throw error;
    });
  };
  try {
    await Promise.race([stands(), ended]);
  } finally {
    over.abort();
  }
}

/** What is missing on this machine, in words; undefined where nothing is. */
export async function missingForSshfs(): Promise<string | undefined> {
  if (process.platform !== "linux") return "it has been tried on Linux only";
  return missingForMounts({ sshfs: "sshfs", fusermount3: "fuse3" });
}
