import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Closable, identifySelf, isRunning, type ProcessIdentity } from "@shipside/core";
import { daemonError } from "./errors.ts";

/** Something that must be undone: which kind, and all that undoing it needs, as JSON. */
export interface Residue {
  kind: string;
  data: Readonly<Record<string, unknown>>;
}

export interface JournalEntry extends Residue {
  id: string;
  /** The session it was made for. */
  session?: string;
}

/**
 * A process's write-ahead record of residue: an append-only file of JSON lines, one file a process. A residue is on disk (fsync) before
 * it is made, and struck out after it is undone; whoever finds the file of a process that is gone undoes what isn't struck out.
 */
export interface Journal extends Closable {
  readonly path: string;
  /** Unique to this process; names the owner of what it makes. */
  readonly run: string;
  /** What has been recorded and not struck out, oldest first. */
  readonly outstanding: readonly JournalEntry[];
  /** Resolves when the record is on disk; only then make the residue. Returns what strikes it out. Throws `JOURNAL_FAILED`. */
  record(residue: Residue, session?: string): Promise<() => Promise<void>>;
  /** Removes the file if nothing is outstanding; otherwise leaves it for the next run to undo. */
  close(): Promise<void>;
}

type Line =
  | { v: 1; run: string; process: ProcessIdentity }
  | { op: "make"; id: string; kind: string; data: Readonly<Record<string, unknown>>; session?: string }
  | { op: "undone"; id: string };

const SUFFIX = ".jsonl";
const CLAIM = /\.claimed-([\w.]+)$/;

export const journalDir = (stateDir: string): string => join(stateDir, "journal");

/** Opens this process's journal. The file is made with the first record, so that who makes nothing leaves nothing. */
export function openJournal(stateDir: string): Journal {
  const dir = journalDir(stateDir);
  const run = `${process.pid}-${randomBytes(4).toString("hex")}`;
  const path = join(dir, run + SUFFIX);
  const outstanding = new Map<string, JournalEntry>();
  let file: Promise<FileHandle> | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  let next = 1;
  let closed: Promise<void> | undefined;

  const create = async (): Promise<FileHandle> => {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const handle = await open(path, "ax", 0o600).catch(async (error: NodeJS.ErrnoException) => {
      // Another process, which closed the last journal, took the empty folder away in between.
      ignoreMissing(error);
      await mkdir(dir, { recursive: true, mode: 0o700 });
      return open(path, "ax", 0o600);
    });
    await append(handle, { v: 1, run, process: await identifySelf() });
    await syncDir(dir);
    return handle;
  };

  // One write at a time: a line is on disk whole before the next begins.
  const write = (line: Line): Promise<void> => {
    const done = queue.then(async () => append(await (file ??= create()), line));
    queue = done.catch(() => {});
    return done;
  };

  const journal: Journal = {
    path,
    run,
    get outstanding() {
      return [...outstanding.values()];
    },
    async record({ kind, data }, session) {
      const entry: JournalEntry = { id: String(next++), kind, data, ...(session !== undefined && { session }) };
      if (closed) throw daemonError("JOURNAL_FAILED", `could not record ${kind} in ${path}: it is closed`);
      try {
        await write({ op: "make", ...entry });
      } catch (cause) {
        throw daemonError("JOURNAL_FAILED", `could not record ${kind} in ${path}: ${(cause as Error).message}`, {
          hint: "nothing was changed; make the folder writable, or set XDG_STATE_HOME to one that is",
          cause,
        });
      }
      outstanding.set(entry.id, entry);
      return async () => {
        if (!outstanding.delete(entry.id)) return;
        await write({ op: "undone", id: entry.id });
      };
    },
    close() {
      closed ??= (async () => {
        await queue;
        const handle = await file?.catch(() => undefined);
        if (!handle) return;
        await handle.close();
        if (outstanding.size > 0) return;
        await unlink(path).catch(ignoreMissing);
        // The folder goes with its last journal, and stays where it isn't empty.
        await rmdir(dir).catch(() => {});
      })();
      return closed;
    },
    [Symbol.asyncDispose]: () => journal.close(),
  };
  return journal;
}

async function append(handle: FileHandle, line: Line): Promise<void> {
  await handle.appendFile(`${JSON.stringify(line)}\n`);
  await handle.datasync();
}

async function syncDir(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(dir, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export interface StoredJournal {
  path: string;
  /** Who is undoing it, where its process is gone. */
  claimant?: ProcessIdentity;
  run: string;
  process: ProcessIdentity | undefined;
  /** Made and not undone, oldest first. */
  outstanding: JournalEntry[];
}

/**
 * Reads a journal's text. A last line that was cut off by a crash never became residue and is dropped; so is any line that isn't ours
 * to understand. Never throws.
 */
export function parseJournal(text: string): Omit<StoredJournal, "path" | "claimant"> {
  const outstanding = new Map<string, JournalEntry>();
  let run = "";
  let owner: ProcessIdentity | undefined;
  for (const raw of text.split("\n").slice(0, -1)) {
    let line: Partial<Record<string, unknown>> | null;
    try {
      line = JSON.parse(raw) as typeof line;
    } catch {
      continue;
    }
    if (typeof line !== "object" || line === null) continue;
    if (line["op"] === "undone") outstanding.delete(String(line["id"]));
    else if (
      line["op"] === "make" &&
      typeof line["kind"] === "string" &&
      typeof line["data"] === "object" &&
      line["data"] !== null
    ) {
      const id = String(line["id"]);
      outstanding.set(id, {
        id,
        kind: line["kind"],
        data: line["data"] as Record<string, unknown>,
        ...(typeof line["session"] === "string" && { session: line["session"] }),
      });
    } else if (typeof line["run"] === "string" && typeof line["process"] === "string") {
      run = line["run"];
      owner = line["process"];
    }
  }
  return { run, process: owner, outstanding: [...outstanding.values()] };
}

/**
 * Whether its process is gone, and nobody is at undoing it: what it left is anybody's to undo. Of one that can't be told (another
 * container's, say) it isn't.
 */
export async function isAbandoned({ process: owner, claimant }: StoredJournal): Promise<boolean> {
  if (owner !== undefined && (await isRunning(owner)) !== false) return false;
  return claimant === undefined || (await isRunning(claimant)) === false;
}

export async function readAbandoned(stateDir: string): Promise<StoredJournal[]> {
  const journals = await readJournals(stateDir);
  const abandoned = await Promise.all(journals.map(isAbandoned));
  return journals.filter((_, i) => abandoned[i]);
}

/**
 * Makes an abandoned journal this process's to undo. Resolves to undefined where somebody else was faster: undoing the same twice at
 * once could remove what the first has put back. The claim is a rename, so only one wins, and its name says who: a claimant's own crash
 * leaves the journal abandoned again.
 */
export async function claimJournal(journal: StoredJournal): Promise<StoredJournal | undefined> {
  const claimant = await identifySelf();
  const path = `${journal.path.replace(CLAIM, "")}.claimed-${claimant}`;
  try {
    await rename(journal.path, path);
  } catch (error) {
    ignoreMissing(error as NodeJS.ErrnoException);
    return undefined;
  }
  return { ...journal, path, claimant };
}

/** Every journal in the folder, those of running processes too. */
export async function readJournals(stateDir: string): Promise<StoredJournal[]> {
  const dir = journalDir(stateDir);
  // Where no journal can be, none was written: whoever wants to write one is told.
  const names = await readdir(dir).catch(() => []);
  const journals: StoredJournal[] = [];
  for (const name of names.sort()) {
    if (!name.replace(CLAIM, "").endsWith(SUFFIX)) continue;
    const [, claimant] = CLAIM.exec(name) ?? [];
    const path = join(dir, name);
    // Its process may have ended in good order in between.
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) journals.push({ path, ...(claimant !== undefined && { claimant }), ...parseJournal(text) });
  }
  return journals;
}

export function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
