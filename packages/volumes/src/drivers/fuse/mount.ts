import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:fs";
import { open as openFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { abortError, createCloser, hasCode } from "@shipside/core";
import { volumesError } from "../../errors.ts";
import type { Drive, DriveOptions } from "../drive.ts";
import { raiseReadAhead, restoreMode, stop, unmountInTheEnd } from "../mount-point.ts";
import { SOURCE, unmount } from "../unmount.ts";
import { DOORS } from "./door.ts";
import { withFusermount } from "./fusermount.ts";
import type { FromProgram, ProgramOptions } from "./messages.ts";
import { serveProgram, tell } from "./serve-program.ts";

const MOUNT_MS = 20_000;
/** What has ended has said why; and what was killed is gone, in ms. */
const SAID_MS = 500;
const GONE_MS = 2_000;

/** What its process may come upon, in words. */
const REASONS: Readonly<Record<string, string>> = {
  ENOTDIR: "it is no directory",
  EOPNOTSUPP: "what serves it lacks the extensions of SFTP that a relay's file server has",
};

/** Turns a command line into one that runs it in another place: a mount namespace, and a user namespace whose root it is there. */
export type Enter = (command: readonly string[]) => readonly string[];

export interface FuseOptions extends DriveOptions {
  /** Where the mount is, and where alone it is seen: it goes with that place, or with `close`. Default: here. */
  enter?: Enter;
}

/** Mounts a directory that a relay's file server has, by a FUSE server of our own. Codes: `VOLUMES_MOUNT_FAILED`, `VOLUMES_SUBPATH_MISSING`. */
export async function mountFuse(options: FuseOptions): Promise<Drive> {
  const { localPath, remotePath, enter, signal, logger } = options;
  signal.throwIfAborted();
  const closer = createCloser();
  try {
    // Open from before the mount, so that it is what lies under it. Nothing is to be done with it where that isn't here.
    await using under = enter ? undefined : await openFile(localPath, constants.O_RDONLY | constants.O_DIRECTORY);
    if (under) {
      const mode = (await under.stat()).mode & 0o7777;
      closer.defer(() => restoreMode(localPath, mode));
    }
    const child = startProgram(options);
    closer.use(serveProgram(child, options));
    // What is on its way is written before it ends, and the streams stay until then.
    closer.defer(() => stop(child));
    // Who still has something open in a mount that was taken off by force would keep it.
    closer.defer(() => tell(child, { end: true }));
    if (!enter) closer.defer(() => unmountInTheEnd(localPath, logger));
    await mounted(child, options);
    signal.throwIfAborted();
    // If it is ever gone, nothing may be written to the local disk unnoticed. Root isn't kept from it.
    await under?.chmod(0o555);
    if (under) await raiseReadAhead(localPath);
    child.unref();
    child.channel?.unref();
  } catch (error) {
    await closer.close().catch((failed: Error) => logger.error("could not unmount", { error: failed.message }));
    if (signal.aborted) throw abortError(signal);
    if (hasCode(error, "VOLUMES_MOUNT_FAILED", "VOLUMES_SUBPATH_MISSING")) throw error;
    throw volumesError("VOLUMES_MOUNT_FAILED", `could not mount ${remotePath} at ${localPath}: ${(error as Error).message}`, {
      cause: error,
    });
  }
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

function startProgram({ name, localPath, remotePath, readOnly, cacheSeconds = 2, enter }: FuseOptions): ChildProcess {
  const source = `${SOURCE}${name.replace(/[^\w./-]/g, "_")}`;
  const how: ProgramOptions = { localPath, remotePath, source, readOnly, cacheSeconds, doors: DOORS };
  const from = import.meta.url;
  const program = fileURLToPath(new URL(from.endsWith(".ts") ? "./program.ts" : "./drivers/fuse/program.js", from));
  const { NODE_OPTIONS: _, ...env } = process.env;
  const serve = [process.execPath, "--max-semi-space-size=2", program, JSON.stringify(how)] as const;
  const [command = "", ...args] = enter?.(serve) ?? (mountsItself() ? serve : withFusermount(serve, how));
  // Not of this process's group, or an interrupt at the terminal would end it before what is open is written; but of one with all that it starts.
  return spawn(command, args, {
    ...{ cwd: "/", detached: true, env },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
}

/** Root needs nobody to mount for it. */
export const mountsItself = (): boolean => process.geteuid?.() === 0;

/** Resolves when the mount stands. Else, or aborted, nothing is left that would mount later; what has been mounted may be there. */
async function mounted(child: ChildProcess, { localPath, remotePath, enter, signal, logger }: FuseOptions): Promise<void> {
  let said = "";
  child.stderr!.on("data", (chunk: Buffer) => {
    said = (said + chunk).slice(-2_000);
  });
  const failed = (why: string, cause?: unknown): Error =>
    volumesError("VOLUMES_MOUNT_FAILED", `could not mount ${remotePath} at ${localPath}: ${why}`, { cause });
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  const over = new AbortController();
  const after = (ms: number, work: () => void): void => {
    const timer = setTimeout(work, ms);
    over.signal.addEventListener("abort", () => clearTimeout(timer));
  };
  try {
    await new Promise<void>((resolve, reject) => {
      const aborted = (): void => reject(abortError(signal));
      if (signal.aborted) aborted();
      signal.addEventListener("abort", aborted, { signal: over.signal });
      child.once("error", (error) => reject(failed(error.message, error)));
      child.once("exit", (code, by) => {
        if (over.signal.aborted) return;
        const ended = (): void => reject(failed(said.trim() || `its process ended (${code ?? by})`));
        void closed.then(ended);
        // What it started may have its streams, and go on.
        after(SAID_MS, ended);
      });
      let slow = enter || mountsItself() ? "it" : "fusermount3";
      const take = (message: FromProgram): void => {
        slow = "it";
        if ("mounted" in message) resolve();
        if (!("failed" in message)) return;
        const { code, message: why } = message.failed;
        if (code === "ENOENT" && why === code)
          reject(volumesError("VOLUMES_SUBPATH_MISSING", `the volume has nothing at ${remotePath}`));
        else reject(failed(REASONS[why] ?? why));
      };
      child.on("message", take);
      over.signal.addEventListener("abort", () => child.off("message", take));
      after(MOUNT_MS, () => reject(failed(`${slow} took more than ${MOUNT_MS / 1000} s`)));
    });
  } catch (error) {
    if (!(await endAll(child, closed)))
      logger.warn("what was to mount a volume can't be ended, and may yet do it", { localPath, pid: child.pid });
    throw error;
  } finally {
    over.abort();
  }
}

/**
 * Kills it with all that it has started, and waits until they are gone (they hold its streams). fusermount3 may be killed by whoever started it, set-UID
 * as it is: see kill(2). False where they aren't gone in a while.
 */
async function endAll(child: ChildProcess, closed: Promise<void>): Promise<boolean> {
  const over = new AbortController();
  const goneIn = (ms: number): Promise<boolean> =>
    Promise.race([closed.then(() => true), sleep(ms, false, over).catch(() => false)]);
  try {
    if (child.pid === undefined || (await goneIn(0))) return true;
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // Whoever holds its streams is of another group.
    }
    return await goneIn(GONE_MS);
  } finally {
    over.abort();
    // Or this process would stay for them.
    child.stderr?.destroy();
    if (child.connected) child.disconnect();
    child.unref();
  }
}
