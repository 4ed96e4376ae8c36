import { type FSWatcher, watch } from "node:fs";
import { readdir, realpath } from "node:fs/promises";
import { hostname } from "node:os";
import { join, relative } from "node:path";
import { abortError, createCloser, hasCode, type MountedVolume } from "@shipside/core";
import { volumesError } from "../../errors.ts";
import { emptyTree } from "../../remove-tree.ts";
import type { DriveOptions } from "../drive.ts";
import type { SftpSession } from "../fuse/sftp-session.ts";
import { type Cycled, cycle, type Progress } from "./cycle.ts";
import { ignoreRule } from "./ignore.ts";
import { removeAgreed, syncJournal } from "./journal.ts";
import { type Kept, lookAtKept } from "./kept.ts";
import { localTree } from "./local-tree.ts";
import type { Agreed } from "./reconcile.ts";
import { openRemote, remoteTree } from "./remote-tree.ts";
import { AWAY } from "./tree.ts";
import { leftError, syncWarnings } from "./warnings.ts";

export interface SyncMountOptions extends Omit<DriveOptions, "cacheSeconds"> {
  /** Names, and paths with a `/`, in which `*` stands for any part of a name; what they fit is let alone on both sides. */
  ignore?: readonly string[];
  /** How often the cluster's side is looked at, in ms. Default 2,000; more where that takes long. */
  everyMs?: number;
  /** Told while the first copy is made. */
  onProgress?(progress: Progress): void;
  /** `VOLUMES_SYNC_CONFLICT`, once for all that a round finds; `VOLUMES_SYNC_PENDING` for what can't be brought, or not now. */
  onWarning?(error: Error): void;
}

const OPEN_MS = 10_000;
/** Changes here come in groups: so long one waits for more, in ms. */
const GATHER_MS = 150;
/** For what is not yet in the cluster, when it is closed, in ms. */
const CLOSE_MS = 8_000;
/** What was replaced is looked at once more after that, in ms: who had it open may have written to it. */
const KEPT_MS = 2_000;
/** A scan may take this part of the time. */
const SHARE = 20;
/** Folders that are watched. Others are seen when it is time to look. */
const MOST_WATCHED = 2_000;
/** As long as there is something to do it is tried again, so many times. */
const ROUNDS = 8;

/**
 * Copies a directory that a file server has, and keeps the copy and it the same, both ways. Files are replaced all at once. Closing brings what is
 * left to the cluster, and empties the local folder. Codes: `VOLUMES_SUBPATH_MISSING`, `VOLUMES_MOUNT_FAILED`; of closing `VOLUMES_SYNC_PENDING`.
 */
export async function mountSync(options: SyncMountOptions): Promise<MountedVolume> {
  const {
    localPath,
    remotePath,
    readOnly,
    signal,
    logger,
    ignore = [],
    inner = [],
    everyMs = 2_000,
    onProgress,
    onWarning,
  } = options;
  signal.throwIfAborted();
  const lifetime = new AbortController();
  const closer = createCloser();
  const journal = syncJournal(await realpath(localPath));
  const others = new Set(inner.map((path) => Buffer.from(path).toString("latin1")));
  const fits = ignoreRule(ignore);
  const ignored = (path: string): boolean => others.has(path) || fits(path);
  const local = await localTree(localPath, { ignored, readOnly });
  let session: SftpSession | undefined;
  let opening: AbortSignal = signal;
  const connect = async (): Promise<void> => {
    if (session && !session.ended) return;
    const until = AbortSignal.any([opening, lifetime.signal, AbortSignal.timeout(OPEN_MS)]);
    session = await openRemote(await options.open(until));
  };
  const standing = (): SftpSession => {
    if (session) return session;
    throw Object.assign(new Error("there is no way to the volume"), { code: AWAY });
  };
  const remote = remoteTree(remotePath, { session: standing, ignored });
  const agreed = new Map<string, Agreed>();
  const kept = new Set<Kept>();
  const label = (): string =>
    `${hostname().replace(/[^\w-]/g, "-")}-${new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "-")}`;
  const warnings = syncWarnings({ localPath, logger, onWarning });
  const kinds = { label, onConflict: (_: string, name: string) => warnings.conflict(name), logger };
  let last: Cycled = { changes: 0, pending: new Map() };
  /** Until there is nothing to do, or nothing that can be done. */
  const synchronise = async (tell?: (progress: Progress) => void): Promise<void> => {
    for (let round = 0; round < ROUNDS; round++) {
      await connect();
      const written = await lookAtKept(kept, { age: KEPT_MS, ...kinds });
      last = await cycle({ local, remote, agreed, kept, readOnly, ...kinds, ...(tell && { onProgress: tell }) });
      if (last.changes > 0) await journal.save(agreed);
      else if (written === 0) return;
    }
  };

  const onAbort = (): void => session?.end();
  signal.addEventListener("abort", onAbort);
  try {
    await connect();
    if ((await remote.look(""))?.type !== "directory")
      throw volumesError("VOLUMES_SUBPATH_MISSING", `the volume has nothing at ${remotePath}`);
    await synchronise(onProgress);
    signal.throwIfAborted();
  } catch (error) {
    session?.end();
    await emptyTree(localPath).catch((left: Error) => logger.error("could not undo", { error: left.message }));
    await journal.remove();
    if (signal.aborted) throw abortError(signal);
    if (hasCode(error, "VOLUMES_SUBPATH_MISSING")) throw error;
    const why = (error as Error).message;
    throw volumesError("VOLUMES_MOUNT_FAILED", `could not copy ${remotePath} to ${localPath}: ${why}`, { cause: error });
  } finally {
    signal.removeEventListener("abort", onAbort);
  }

  // From here on it ends with `close` alone.
  opening = lifetime.signal;
  warnings.round(last.pending);
  const alarm = alarmClock();
  const watchers = watchFolders(localPath, alarm.soon);
  const running = (async () => {
    let next = performance.now() + everyMs;
    watchers.update(agreed);
    for (;;) {
      const left = Math.max(0, next - performance.now());
      const woken = await alarm.wait(kept.size > 0 ? Math.min(left, KEPT_MS) : left);
      if (woken === "stopped") return;
      const began = performance.now();
      try {
        await connect();
        // A look at what is kept takes no scan.
        if (woken === "time" && began < next && (await lookAtKept(kept, { age: KEPT_MS, ...kinds })) === 0) continue;
        await synchronise();
        warnings.round(last.pending);
        watchers.update(agreed);
      } catch (cause) {
        if (!lifetime.signal.aborted) warnings.away(cause as Error);
      }
      next = performance.now() + Math.max(everyMs, (performance.now() - began) * SHARE);
    }
  })();

  closer.defer(async () => {
    alarm.stop();
    watchers.close();
    const patience = setTimeout(() => {
      lifetime.abort();
      session?.end();
    }, CLOSE_MS);
    try {
      await running;
      await synchronise();
      if ((await lookAtKept(kept, { age: 0, ...kinds })) > 0) await synchronise();
    } catch (error) {
      logger.warn("the last changes could not be brought to the cluster", { error: (error as Error).message });
    } finally {
      clearTimeout(patience);
      lifetime.abort();
      session?.end();
    }
    // Of this side, also where the other can't be reached.
    await lookAtKept(kept, { tree: local, age: 0, ...kinds });
    warnings.round(new Map());
    const left = await removeAgreed(local, agreed, logger);
    await journal.remove();
    if (left.length === 0) left.push(...(await otherFiles(localPath)));
    if (left.length === 0) return;
    throw leftError(localPath, left);
  });
  return { localPath, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
}

/** What was let alone here. */
async function otherFiles(localPath: string): Promise<string[]> {
  const entries = await readdir(localPath, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => Buffer.from(relative(localPath, join(entry.parentPath, entry.name))).toString("latin1"));
}

/** Waits until it is time, or something has happened. */
function alarmClock(): { soon(): void; wait(ms: number): Promise<"time" | "soon" | "stopped">; stop(): void } {
  let stopped = false;
  let due = false;
  let wake: (() => void) | undefined;
  return {
    soon() {
      due = true;
      wake?.();
    },
    async wait(ms) {
      const sleep = (most: number, early: boolean): Promise<void> =>
        new Promise((resolve) => {
          const timer = setTimeout(resolve, most);
          timer.unref();
          wake = () => {
            if (!early && !stopped) return;
            clearTimeout(timer);
            resolve();
          };
        });
      if (!due && !stopped) await sleep(ms, true);
      const woken = due;
      if (due && !stopped) await sleep(GATHER_MS, false);
      due = false;
      if (stopped) return "stopped";
      return woken ? "soon" : "time";
    },
    stop() {
      stopped = true;
      wake?.();
    },
  };
}

/** Hints that something has changed in a folder: what that is, a scan finds. Where there are none, it is found when it is time to look. */
function watchFolders(root: string, onChange: () => void): { update(agreed: ReadonlyMap<string, Agreed>): void; close(): void } {
  const watchers = new Map<string, FSWatcher>();
  return {
    update(agreed) {
      const folders = ["", ...[...agreed].flatMap(([path, { type }]) => (type === "directory" ? [path] : []))].slice(
        0,
        MOST_WATCHED,
      );
      for (const path of folders) {
        if (watchers.has(path)) continue;
        try {
          const watcher = watch(Buffer.from(join(root, Buffer.from(path, "latin1").toString())), { persistent: false }, onChange);
          watcher.on("error", () => watcher.close());
          watchers.set(path, watcher);
        } catch {}
      }
      const wanted = new Set(folders);
      for (const [path, watcher] of watchers) {
        if (wanted.has(path)) continue;
        watcher.close();
        watchers.delete(path);
      }
    },
    close() {
      for (const watcher of watchers.values()) watcher.close();
    },
  };
}
