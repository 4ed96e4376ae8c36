import { join } from "node:path";
import type { Logger } from "@shipside/core";
import { volumesError } from "../../errors.ts";
import { CHANGES } from "./cycle.ts";

/** What its user must know of a folder that is synchronised, each thing once. */
export interface SyncWarnings {
  /** Of a file that both sides have changed: what one of the two is called now. */
  conflict(name: string): void;
  /** Tells of the conflicts since the last time, and of what can't be brought, unless it was told of. */
  round(pending: ReadonlyMap<string, string>): void;
  /** The volume can't be reached, until {@link round} is called again. */
  away(cause: Error): void;
}

export interface SyncWarningsOptions {
  localPath: string;
  logger: Logger;
  /** Told an error of `VOLUMES_SYNC_CONFLICT` or `VOLUMES_SYNC_PENDING`. */
  onWarning: ((error: Error) => void) | undefined;
}

/** As many are named. */
const NAMED = 5;

export function syncWarnings({ localPath, logger, onWarning }: SyncWarningsOptions): SyncWarnings {
  let conflicts: string[] = [];
  let told = new Map<string, string>();
  let isAway = false;
  const warn = (error: Error): void => {
    logger.warn(error.message);
    onWarning?.(error);
  };
  return {
    conflict(name) {
      conflicts.push(name);
    },
    round(pending) {
      if (isAway) logger.info("synchronised again", { localPath });
      isAway = false;
      if (conflicts.length > 0) warn(conflictError(localPath, conflicts));
      conflicts = [];
      // What changes in that moment, or has something in it, is no trouble but a matter of time.
      const failed = new Map([...pending].filter(([, why]) => why !== CHANGES));
      const fresh = [...failed].filter(([path, why]) => told.get(path) !== why);
      told = failed;
      if (fresh.length > 0) warn(pendingError(localPath, fresh));
    },
    away(cause) {
      if (!isAway) {
        const message = `changes in ${localPath} wait: ${cause.message}`;
        warn(volumesError("VOLUMES_SYNC_PENDING", message, { cause, hint: "they are brought when it can be reached again" }));
      }
      isAway = true;
    },
  };
}

const textOf = (path: string): string => Buffer.from(path, "latin1").toString();

function listOf(names: readonly string[]): string {
  return `${names.slice(0, NAMED).join(", ")}${names.length > NAMED ? " …" : ""}`;
}

function conflictError(localPath: string, names: readonly string[]): Error {
  const paths = names.map(textOf);
  const message =
    paths.length === 1
      ? `changed here and in the cluster: the other version is ${join(localPath, paths[0]!)}`
      : `${paths.length} files were changed here and in the cluster: the other versions in ${localPath} are ${listOf(paths)}`;
  return volumesError("VOLUMES_SYNC_CONFLICT", message, {
    hint: "compare the two, keep what you want under the file's own name, and delete the other",
    details: { localPath, names: paths.slice(0, 100) },
  });
}

function pendingError(localPath: string, failed: ReadonlyArray<readonly [path: string, why: string]>): Error {
  const names = failed.map(([path, why]) => `${textOf(path)} (${why})`);
  const message = `not the same here and in the cluster yet, in ${localPath}: ${listOf(names)}`;
  return volumesError("VOLUMES_SYNC_PENDING", message, {
    hint: "it is tried again and again; what isn't in the cluster in the end stays here",
    details: { localPath, paths: failed.slice(0, 100).map(([path]) => textOf(path)) },
  });
}

/** When it is closed: what stays here. */
export function leftError(localPath: string, left: readonly string[]): Error {
  const paths = left.map(textOf);
  const what = paths.length === 1 ? `a file in ${localPath} is not in the cluster, and stays` : undefined;
  return volumesError(
    "VOLUMES_SYNC_PENDING",
    `${what ?? `${paths.length} files in ${localPath} are not in the cluster, and stay`}: ${listOf(paths)}`,
    { hint: "copy what you want to keep, and delete the rest", details: { localPath, paths: paths.slice(0, 100) } },
  );
}
