import { randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import {
  acquireFileLock,
  type Closable,
  codeOf,
  createTurns,
  type FileLock,
  hasCode,
  type Logger,
  type ShipsideError,
} from "@shipside/core";
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

/** A transaction takes milliseconds: who waits this long, in ms, has met a process that hangs. */
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
  const turns = createTurns();

  const update: PoolState["update"] = async (change) => {
    let held: FileLock;
    try {
      held = await lock(file);
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
      if (!sameEntries(all, taken)) await write(file, all);
    } finally {
      await held.release();
    }
  };

  return {
    update: (change) => turns.run(() => update(change)),
    close: () => turns.run(async () => {}),
    [Symbol.asyncDispose]: () => turns.run(async () => {}),
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

async function write(file: string, addresses: ReadonlyMap<string, string>): Promise<void> {
  const content: PoolFile = { version: 1, addresses: Object.fromEntries([...addresses].sort(([a], [b]) => (a < b ? -1 : 1))) };
  const temporary = `${file}.${randomUUID()}`;
  try {
    await writeFile(temporary, `${JSON.stringify(content, null, 1)}\n`, { mode: 0o600 });
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function lock(file: string): Promise<FileLock> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const signal = new AbortController().signal;
  const request = { path: `${file}.lock`, what: file, owner: "shipside tunnel", timeoutMs: LOCK_WAIT_MS, signal };
  return acquireFileLock(request).catch((error: ShipsideError) => {
    if (!hasCode(error, "LOCK_HELD")) throw error;
    throw tunnelError("POOL_LOCKED", error.message, { ...(error.hint && { hint: error.hint }), cause: error });
  });
}

function sameEntries(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}
