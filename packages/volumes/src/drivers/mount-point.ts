import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { open as openFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { hasCode, type Logger } from "@shipside/core";
import { mountAt } from "./mount-table.ts";
import { unmount } from "./unmount.ts";

/** What every mount's own process and place needs, whichever program serves it. */

/** What is being used may be so for a moment only: that long it is asked again before it is taken off by force, in ms. */
const PATIENCE_MS = 2_000;
const EXIT_MS = 1_000;
/** The kernel's default of 128 KiB makes each sequential read wait for many round trips. */
const READ_AHEAD_KB = 4_096;

/** Takes the mount off in any case: by force where it is still in use after a moment. */
export async function unmountInTheEnd(localPath: string, logger: Logger): Promise<void> {
  for (const until = performance.now() + PATIENCE_MS; ; await sleep(100)) {
    try {
      return await unmount(localPath);
    } catch (error) {
      if (hasCode(error, "VOLUMES_BUSY") && performance.now() < until) continue;
      logger.warn("a volume in use is taken off by force", { error: (error as Error).message });
      return await unmount(localPath, { force: true });
    }
  }
}

/** Ends by itself when its mount is gone; else it is told to. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  for (const signal of [undefined, "SIGTERM", "SIGKILL"] as const) {
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (signal) child.kill(signal);
    const over = new AbortController();
    await Promise.race([once(child, "exit", over), sleep(EXIT_MS, undefined, over)]).catch(() => {});
    over.abort();
  }
}

export async function restoreMode(localPath: string, mode: number): Promise<void> {
  const directory = await openFile(localPath, constants.O_RDONLY | constants.O_DIRECTORY).catch(() => undefined);
  await directory?.chmod(mode).catch(() => {});
  await directory?.close();
}

/** Only root may; without it reading is slower where the way is long. */
export async function raiseReadAhead(localPath: string): Promise<void> {
  const device = (await mountAt(localPath))?.device;
  await writeFile(`/sys/class/bdi/${device}/read_ahead_kb`, String(READ_AHEAD_KB)).catch(() => {});
}
