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
  /**
   * Reads, asks `change` for what is wanted, and keeps it, alone among all processes. Of more than {@link MOST_KEPT}, those that were asked for
   * longest ago are forgotten, but none that `inUse` knows.
   */
  update(change: PoolChange, inUse?: (key: string) => boolean): Promise<void>;
}

export type PoolChange = (taken: ReadonlyMap<string, string>) => ReadonlyMap<string, string>;

interface PoolFile {
  version: 1;
  addresses: Record<string, string>;
}

/**
 * The file is read and written whole with each new service, and a cluster where services come and go under ever new names would grow it
 * without end (and V8 collects what is larger than 128 KiB late). An address that is forgotten comes from the same hash again, unless another
 * service has got it meanwhile.
 */
const MOST_KEPT = 1_024;

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

  const update = async (change: PoolChange, inUse: (key: string) => boolean): Promise<void> => {
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
      const wanted = change(taken);
      const isNew = [...wanted].some(([key, address]) => taken.get(key) !== address);
      if (isNew) await write(file, remember(taken, wanted, inUse));
    } finally {
      await held.release();
    }
  };

  return {
    update: (change, inUse = () => false) => turns.run(() => update(change, inUse)),
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
  const content: PoolFile = { version: 1, addresses: Object.fromEntries(addresses) };
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

/** In the order in which they were asked for, the latest last. Pure. */
export function remember(
  taken: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string>,
  inUse: (key: string) => boolean,
  most = MOST_KEPT,
): Map<string, string> {
  const all = new Map([...taken].filter(([key]) => !wanted.has(key)));
  let surplus = all.size + wanted.size - most;
  for (const key of all.keys()) {
    if (surplus <= 0) break;
    if (inUse(key)) continue;
    all.delete(key);
    surplus--;
  }
  for (const [key, address] of wanted) all.set(key, address);
  return all;
}
