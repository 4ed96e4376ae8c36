import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, codeOf, type Logger } from "@shipside/core";
import { tunnelError } from "./errors.ts";

/** Key → address, as it was and with what a change adds. */
export interface PoolState extends Closable {
  /** Reads, asks `change` for what to add, and keeps it, alone among all processes. */
  update(change: (taken: ReadonlyMap<string, string>) => ReadonlyMap<string, string>): Promise<void>;
}

interface PoolFile {
  version: 1;
  addresses: Record<string, string>;
}

/** A transaction takes milliseconds; who holds the lock for this long is hung, or was killed. */
const LOCK_STALE_MS = 10_000;
const LOCK_WAIT_MS = 15_000;

/** `$XDG_STATE_HOME/shipside/addresses.json` (XDG Base Directory Specification), with `~/.local/state` as its default. */
export function defaultStateFile(env: NodeJS.ProcessEnv = process.env): string {
  const base = env["XDG_STATE_HOME"];
  return join(base && isAbsolute(base) ? base : join(homedir(), ".local", "state"), "shipside", "addresses.json");
}

export function memoryPoolState(): PoolState {
  const addresses = new Map<string, string>();
  return {
    async update(change) {
      for (const [key, address] of change(addresses)) addresses.set(key, address);
    },
    async close() {},
    async [Symbol.asyncDispose]() {},
  };
}

/**
 * The mapping in a file. A file that can't be understood is put aside with a warning; a directory that can't be written costs the
 * memory of the mapping, with a warning, and no more: addresses come from a hash, so nearly all stay the same.
 */
export function openPoolState(file = defaultStateFile(), logger: Logger): PoolState {
  const fallback = memoryPoolState();
  let warned = false;
  let queue: Promise<unknown> = Promise.resolve();

  const update: PoolState["update"] = async (change) => {
    const token = `${process.pid} ${randomUUID()}`;
    for (;;) {
      try {
        await lock(file, token);
      } catch (error) {
        if (codeOf(error) === "POOL_LOCKED") throw error;
        if (!warned) logger.warn(`addresses can't be kept in ${file}: they may differ in the next run`, { error: String(error) });
        warned = true;
        return fallback.update(change);
      }
      try {
        const taken = await read(file, logger);
        const all = new Map(taken);
        for (const [key, address] of change(taken)) all.set(key, address);
        if (sameEntries(all, taken) || (await commit(file, token, all))) return;
      } finally {
        await unlock(file, token);
      }
    }
  };

  return {
    update(change) {
      const done = queue.then(() => update(change));
      queue = done.catch(() => {});
      return done;
    },
    close: () => queue.then(() => {}),
    [Symbol.asyncDispose]: () => queue.then(() => {}),
  };
}

async function read(file: string, logger: Logger): Promise<Map<string, string>> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return new Map();
    throw error;
  }
  try {
    const content = JSON.parse(text) as Partial<PoolFile>;
    const entries = Object.entries(content.addresses ?? {});
    if (content.version !== 1 || entries.some(([, address]) => typeof address !== "string")) throw new Error("not of version 1");
    // Two keys with one address can only come from an edit by hand: the first keeps it.
    const seen = new Set<string>();
    return new Map(entries.filter(([, address]) => !seen.has(address) && seen.add(address)));
  } catch (error) {
    logger.warn(`${file} could not be understood and was put aside as ${file}.corrupt`, { error: String(error) });
    await rename(file, `${file}.corrupt`);
    return new Map();
  }
}

/** False where the lock was taken from us meanwhile (a process that was stopped for long): the caller starts again. */
async function commit(file: string, token: string, addresses: ReadonlyMap<string, string>): Promise<boolean> {
  const content: PoolFile = { version: 1, addresses: Object.fromEntries([...addresses].sort(([a], [b]) => (a < b ? -1 : 1))) };
  const temporary = `${file}.${randomUUID()}`;
  try {
    await writeFile(temporary, `${JSON.stringify(content, null, 1)}\n`, { mode: 0o600 });
    if ((await holder(file)) !== token) return false;
    await rename(temporary, file);
    return true;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function lock(file: string, token: string): Promise<void> {
  const path = `${file}.lock`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  for (const until = Date.now() + LOCK_WAIT_MS; ; ) {
    try {
      const handle = await open(path, "wx", 0o600);
      try {
        await handle.writeFile(token);
      } finally {
        await handle.close();
      }
      return;
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    }
    const held = await staleHolder(file);
    if (held !== undefined) {
      // Renaming has one winner. Should it have been a new lock by now, its owner finds it gone at commit, and starts again.
      const aside = `${path}.${randomUUID()}`;
      await rename(path, aside).catch(() => {});
      await rm(aside, { force: true });
    } else if (Date.now() > until) {
      throw tunnelError("POOL_LOCKED", `${path} was held for ${LOCK_WAIT_MS / 1000} s by process ${(await holder(file)) ?? "?"}`, {
        hint: `if no such process runs, delete ${path}`,
      });
    } else {
      await sleep(5 + Math.random() * 20);
    }
  }
}

async function unlock(file: string, token: string): Promise<void> {
  if ((await holder(file)) === token) await rm(`${file}.lock`, { force: true });
}

async function holder(file: string): Promise<string | undefined> {
  return readFile(`${file}.lock`, "utf8").catch(() => undefined);
}

/** The holder's token where it is dead, or has held for too long. */
async function staleHolder(file: string): Promise<string | undefined> {
  const token = await holder(file);
  if (token === undefined) return undefined;
  const pid = Number(token.split(" ")[0]);
  if (token !== "" && Number.isInteger(pid) && !isAlive(pid)) return token;
  const age = await stat(`${file}.lock`).then(
    (stats) => Date.now() - stats.mtimeMs,
    () => 0,
  );
  return age > LOCK_STALE_MS ? token : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== "ESRCH";
  }
}

function sameEntries(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
