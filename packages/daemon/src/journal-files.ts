import { readdir, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { identifySelf, isRunning, type ProcessIdentity } from "@shipside/core";

/** Something that must be undone: which kind, and all that undoing it needs, as JSON. Never a secret. */
export interface Residue {
  kind: string;
  data: Readonly<Record<string, unknown>>;
}

export interface JournalEntry extends Residue {
  id: string;
  /** The session it was made for. */
  session?: string;
}

/** A line of a journal file. */
export type JournalLine =
  | { v: 1; about: string; run: string; process: ProcessIdentity; session?: string }
  | ({ op: "make"; at: string } & JournalEntry)
  | { op: "undone"; id: string }
  /** The process has given it up: it is others' to undo what is outstanding. */
  | { op: "left" };

export const SUFFIX = ".jsonl";
const CLAIM = /\.claimed-([\w.]+)$/;

/** For the person who finds the file. */
export const ABOUT =
  "What a shipside made and has to undo: each `make` without an `undone` of the same id. `shipside clean` does it once that process is gone.";

export const journalDir = (stateDir: string): string => join(stateDir, "journal");

export const encodeLine = (line: JournalLine): string => `${JSON.stringify(line)}\n`;

export interface StoredJournal {
  path: string;
  /** Who is undoing it, where its process is gone. */
  claimant?: ProcessIdentity;
  run: string;
  process: ProcessIdentity | undefined;
  /** Given up by its process, which may still run. */
  left: boolean;
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
  let left = false;
  for (const raw of text.split("\n").slice(0, -1)) {
    let line: Partial<Record<string, unknown>> | null;
    try {
      line = JSON.parse(raw) as typeof line;
    } catch {
      continue;
    }
    if (typeof line !== "object" || line === null) continue;
    if (line["op"] === "left") left = true;
    else if (line["op"] === "undone") outstanding.delete(String(line["id"]));
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
  return { run, process: owner, left, outstanding: [...outstanding.values()] };
}

/**
 * Whether it is anybody's to undo: its process is gone or has given it up, and nobody is at it. Of a process that can't be told
 * (another container's, say) it isn't.
 */
export async function isAbandoned({ process: owner, claimant, left }: StoredJournal): Promise<boolean> {
  if (!left && owner !== undefined && (await isRunning(owner)) !== false) return false;
  return claimant === undefined || (await isRunning(claimant)) === false;
}

export async function readAbandoned(stateDir: string): Promise<StoredJournal[]> {
  const journals = await readJournals(stateDir);
  const abandoned = await Promise.all(journals.map(isAbandoned));
  return journals.filter((_, i) => abandoned[i]);
}

/** A journal's path without the claim of whoever undoes it. */
export const unclaimedPath = (path: string): string => path.replace(CLAIM, "");

/**
 * Makes an abandoned journal this process's to undo. Resolves to undefined where somebody else was faster: undoing the same twice at
 * once could remove what the first has put back. The claim is a rename, so only one wins, and its name says who: a claimant's own crash
 * leaves the journal abandoned again.
 */
export async function claimJournal(journal: StoredJournal): Promise<StoredJournal | undefined> {
  const claimant = await identifySelf();
  const path = `${unclaimedPath(journal.path)}.claimed-${claimant}`;
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
