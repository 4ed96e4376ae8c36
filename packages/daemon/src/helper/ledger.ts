import { constants } from "node:fs";
import { lstat, mkdir, open, readFile, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { acquireFileLock, type Closable, hasCode } from "@shipside/core";
import { daemonError } from "../errors.ts";
import { isPoolAddress } from "./validate.ts";

/** What must be undone of one user's. */
export interface Owed {
  /** The user's lines in the hosts file. */
  hosts: boolean;
  /** Addresses added to the loopback interface, where the platform wants that. */
  aliases: string[];
}

/** Root's own record of what the helper of one user made: on disk before it is made, gone when nothing is left. */
export interface Ledger extends Closable {
  /** What an earlier helper had left when this one began. `damaged`: its record could not be read, so all that it may name is owed. */
  readonly found: Owed & { damaged: boolean };
  /** Resolves when it is on disk. Throws `HELPER_FAILED`: then do nothing. */
  owe(change: Partial<Owed>): Promise<void>;
  readonly owed: Readonly<Owed>;
  /** Gives the lock free. What is owed stays on disk for the next helper. */
  close(): Promise<void>;
}

/**
 * Opens the ledger of `uid` in `dir`, which is made where it isn't there. Throws `HELPER_RUNNING` where another helper has it, and
 * `HELPER_FAILED` where the folder isn't root's alone or can't be written.
 */
export async function openLedger(dir: string, uid: number, lockTimeoutMs = 2_000): Promise<Ledger> {
  await ensureRootDir(dir);
  const path = join(dir, `helper-${uid}.json`);
  const lock = await acquireFileLock({
    path: join(dir, `helper-${uid}.lock`),
    what: `the helper's record ${path}`,
    owner: `helper-${uid}`,
    timeoutMs: lockTimeoutMs,
    signal: new AbortController().signal,
  }).catch((cause: unknown) => {
    if (!hasCode(cause, "LOCK_HELD")) throw failed(`could not lock ${path}`, cause);
    throw daemonError("HELPER_RUNNING", `a helper for uid ${uid} runs already`, {
      hint: "`shipside stop` ends it",
      cause,
    });
  });

  const found = await readOwed(path);
  let owed: Owed = { hosts: found.hosts, aliases: found.aliases };
  return {
    found,
    get owed() {
      return owed;
    },
    async owe(change) {
      const next = { ...owed, ...change };
      if (next.hosts === owed.hosts && sameSet(next.aliases, owed.aliases) && !found.damaged) return;
      try {
        if (!next.hosts && next.aliases.length === 0) await unlink(path).catch(ignoreMissing);
        else await replace(path, next);
        await syncDir(dir);
      } catch (cause) {
        throw failed(`could not write ${path}; nothing was changed`, cause);
      }
      found.damaged = false;
      owed = next;
    },
    close: () => lock.release(),
    [Symbol.asyncDispose]: () => lock.release(),
  };
}

/** What a ledger's text says; undefined where it is none. Pure. */
export function parseOwed(text: string): Owed | undefined {
  try {
    const { v, hosts, aliases } = (JSON.parse(text) ?? {}) as Record<string, unknown>;
    if (v !== 1 || typeof hosts !== "boolean" || !Array.isArray(aliases) || !aliases.every(isPoolAddress)) return undefined;
    return { hosts, aliases: [...aliases] };
  } catch {
    return undefined;
  }
}

async function readOwed(path: string): Promise<Owed & { damaged: boolean }> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    if (hasCode(cause, "ENOENT")) return undefined;
    throw failed(`could not read ${path}`, cause);
  });
  if (text === undefined) return { hosts: false, aliases: [], damaged: false };
  const owed = parseOwed(text);
  // The hosts file itself says which lines are ours.
  return owed ? { ...owed, damaged: false } : { hosts: true, aliases: [], damaged: true };
}

async function replace(path: string, owed: Owed): Promise<void> {
  const temporary = `${path}.new`;
  // Nobody but root writes here, and only the lock's holder: what lies there is a crashed helper's.
  await unlink(temporary).catch(ignoreMissing);
  const handle = await open(temporary, "wx", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ v: 1, ...owed })}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, path);
}

/** Whoever could write in there could have root take out other lines than its own. */
async function ensureRootDir(dir: string): Promise<void> {
  try {
    await mkdir(dir, { mode: 0o700 });
  } catch (cause) {
    if (!hasCode(cause, "EEXIST")) throw failed(`could not make ${dir}`, cause);
  }
  const stat = await lstat(dir);
  if (stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0) return;
  throw daemonError("HELPER_FAILED", `${dir} is not a folder of root's alone`, {
    hint: `look who made it, then remove it: sudo rm -r ${dir}`,
  });
}

async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((each) => b.includes(each));

const failed = (what: string, cause: unknown): Error =>
  daemonError("HELPER_FAILED", `${what}: ${(cause as Error).message}`, {
    hint: "make room on that disk, and see that root may write there",
    cause,
  });

function ignoreMissing(error: unknown): void {
  if (!hasCode(error, "ENOENT")) throw error;
}
