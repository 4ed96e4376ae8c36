import { randomBytes } from "node:crypto";
import { link, readdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { coreError } from "./catalog.ts";
import { abortError, codeOf } from "./errors.ts";
import { identifySelf, isRunning, pidOf } from "./process-identity.ts";

/** What a lock file holds: who has it, said so that a person and another process can both tell. */
interface LockRecord {
  /** The holder's process identity, and a random part. */
  token: string;
  owner: string;
  since: string;
}

export interface FileLockOptions {
  /** The lock file. Its folder exists; names that begin with its name and `-` are taken too. */
  path: string;
  /** What is locked, for messages. */
  what: string;
  /** Who asks, for messages. */
  owner: string;
  /** How long to wait for a live holder, in ms, 0 or more. */
  timeoutMs: number;
  signal: AbortSignal;
}

/** A lock that is held. */
export interface FileLock {
  /** Unique to this holding; names the holder's temporary files. */
  readonly token: string;
  /** Gives it back. */
  release(): Promise<void>;
}

/** A fresh name for this process's files, from which {@link isTokenDead} tells anybody later whether the process still runs. */
export async function newToken(): Promise<string> {
  return `${await identifySelf()}-${randomBytes(6).toString("hex")}`;
}

/** What a token looks like, to find it in a file's name. */
export const TOKEN_PATTERN = String.raw`\w+\.\d+\.\d+\.\d+-[0-9a-f]{12}`;

/** False where its process runs, and where that can't be told: it is of another process-id namespace, or no token at all. */
export const isTokenDead = async (token: string): Promise<boolean> => (await isRunning(token.split("-")[0] ?? "")) === false;

/**
 * Takes the lock, waiting for a live holder and succeeding a dead one. Rejects with `LOCK_HELD` after `timeoutMs` (details:
 * `lock`, and where known `owner`, `pid`, `since`), or the signal's reason.
 *
 * The lock is a file made complete and exclusively by one link(2), and only its holder deletes it. A dead holder's file is never
 * deleted, since between looking and deleting it could have become somebody else's: whoever wants to succeed the dead holder T links
 * `…-after-T` exclusively, which one process can do; makes sure that the lock is still T's; and renames its own file over it. If
 * that one dies on the way, `…-after-` its own token is next in the line.
 */
export async function acquireFileLock(options: FileLockOptions): Promise<FileLock> {
  const { path, owner, signal } = options;
  const token = await newToken();
  const mine = `${path}-${token}`;
  const deadline = performance.now() + options.timeoutMs;
  const record: LockRecord = { token, owner, since: new Date().toISOString() };
  signal.throwIfAborted();
  try {
    await writeFile(mine, `${JSON.stringify(record)}\n`, { flag: "wx", mode: 0o644 });
    for (;;) {
      const holder = await tryAcquire(path, mine);
      if (holder === "acquired") break;
      if (holder === "again") continue;
      const left = deadline - performance.now();
      if (left <= 0) throw lockedError(options, holder);
      await sleep(Math.min(left, 3 + Math.random() * 12), undefined, { signal }).catch(() => {
        throw abortError(signal);
      });
    }
  } finally {
    await unlink(mine).catch(ignoreMissing);
  }
  await sweep(path);
  return {
    token,
    async release() {
      // Taken by hand and given to somebody else meanwhile: not ours to delete.
      if (tokenOf(await readRecord(path)) === token) await unlink(path).catch(ignoreMissing);
    },
  };
}

/** One attempt: "acquired", "again" where things moved meanwhile, or who is in the way (undefined where the file doesn't say). */
async function tryAcquire(path: string, mine: string): Promise<"acquired" | "again" | LockRecord | undefined> {
  if (await tryLink(mine, path)) return "acquired";
  const dead = await readRecord(path);
  if (dead === "gone") return "again";
  if (!dead || !(await isTokenDead(dead.token))) return dead;
  for (let last = dead; ; ) {
    const successor = `${path}-after-${last.token}`;
    if (!(await tryLink(mine, successor))) {
      const other = await readRecord(successor);
      if (other === "gone") return "again";
      if (!other || !(await isTokenDead(other.token))) return other;
      last = other;
      continue;
    }
    if (tokenOf(await readRecord(path)) === dead.token) {
      await rename(successor, path);
      return "acquired";
    }
    await unlink(successor).catch(ignoreMissing);
    return "again";
  }
}

/** Removes what processes that died while waiting left. While we hold the lock nobody is rightly in a dead holder's succession. */
async function sweep(path: string): Promise<void> {
  const prefix = `${basename(path)}-`;
  const pattern = new RegExp(`^(after-)?(${TOKEN_PATTERN})$`);
  for (const name of await readdir(dirname(path))) {
    const [, after, token] = (name.startsWith(prefix) && pattern.exec(name.slice(prefix.length))) || [];
    if (token !== undefined && (after || (await isTokenDead(token)))) await unlink(join(dirname(path), name)).catch(() => {});
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  }
}

/** Undefined where the file is not one of ours. */
async function readRecord(path: string): Promise<LockRecord | "gone" | undefined> {
  try {
    const record = JSON.parse(await readFile(path, "utf8")) as LockRecord;
    return typeof record?.token === "string" && typeof record.owner === "string" ? record : undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "gone";
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

const tokenOf = (record: LockRecord | "gone" | undefined): string | undefined => (record === "gone" ? undefined : record?.token);

function lockedError({ path, what, timeoutMs }: FileLockOptions, holder: LockRecord | undefined): Error {
  const who = holder
    ? `owner ${holder.owner}, process ${pidOf(holder.token)}, since ${holder.since}`
    : "a holder that it doesn't name";
  return coreError("LOCK_HELD", `could not lock ${what} within ${timeoutMs} ms: ${path} is held by ${who}`, {
    hint: `wait for that process or end it; if it no longer exists, delete ${path}`,
    details: { lock: path, ...(holder && { owner: holder.owner, pid: pidOf(holder.token), since: holder.since }) },
  });
}

function ignoreMissing(error: unknown): void {
  if (codeOf(error) !== "ENOENT") throw error;
}
