import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, rmdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type Closable, createTurns, hasCode, identifySelf } from "@shipside/core";
import { daemonError } from "./errors.ts";
import {
  ABOUT,
  encodeLine,
  ignoreMissing,
  type JournalEntry,
  type JournalLine,
  journalDir,
  type Residue,
  SUFFIX,
} from "./journal-files.ts";

/**
 * A process's write-ahead record of residue: append-only files of JSON lines, one for each session and one for what belongs to none.
 * A residue is on disk (fsync) before it is made, and struck out after it is undone; a file with nothing outstanding is removed. Whoever
 * finds the file of a process that is gone, or of a session that ended and could not be undone whole, undoes what isn't struck out.
 */
export interface Journal extends Closable {
  /** Unique to this process; names the owner of what it makes. */
  readonly run: string;
  /** What has been recorded and not struck out, oldest first. */
  readonly outstanding: readonly JournalEntry[];
  /** The file of a session, or of what belongs to none. It is there while something is outstanding. */
  pathOf(session?: string): string;
  /** Resolves when the record is on disk; only then make the residue. Returns what strikes it out. Throws `JOURNAL_FAILED`. */
  record(residue: Residue, session?: string): Promise<() => Promise<void>>;
  /** The session is over. What it could not undo is anybody's to try again, although this process still runs. */
  endSession(session: string): Promise<void>;
  /** The same for everything: the files of what is outstanding stay. */
  close(): Promise<void>;
}

/** Around each line's way to the disk: tests end the process there. */
export type JournalStep = (moment: "before" | "after", line: JournalLine) => unknown;

/** Opens this process's journal. A file is made with its first record, so that who makes nothing leaves nothing. */
export function openJournal(stateDir: string, options: { onStep?: JournalStep } = {}): Journal {
  const dir = journalDir(stateDir);
  const run = `${process.pid}-${randomBytes(4).toString("hex")}`;
  const files = new Map<string | undefined, SessionFile>();
  let next = 1;
  let closed: Promise<void> | undefined;

  const pathOf = (session?: string): string => {
    const part = session === undefined ? "" : `-${session.replace(/[^\w-]/g, "_")}`;
    return join(dir, run + part + SUFFIX);
  };
  const fileOf = (session: string | undefined): SessionFile => {
    const file = files.get(session) ?? sessionFile({ dir, path: pathOf(session), run, session, onStep: options.onStep });
    files.set(session, file);
    return file;
  };

  const journal: Journal = {
    run,
    get outstanding() {
      return [...files.values()].flatMap((file) => file.outstanding).sort((a, b) => Number(a.id) - Number(b.id));
    },
    pathOf,
    async record({ kind, data }, session) {
      const entry: JournalEntry = { id: String(next++), kind, data, ...(session !== undefined && { session }) };
      if (closed) throw daemonError("JOURNAL_FAILED", `could not record ${kind} in ${pathOf(session)}: it is closed`);
      const file = fileOf(session);
      try {
        await file.add(entry);
      } catch (cause) {
        throw daemonError("JOURNAL_FAILED", `could not record ${kind} in ${pathOf(session)}: ${(cause as Error).message}`, {
          hint: "nothing was changed; make the folder writable, or set XDG_STATE_HOME to one that is",
          cause,
        });
      }
      return () => file.strikeOut(entry);
    },
    async endSession(session) {
      const file = files.get(session);
      files.delete(session);
      await file?.end();
    },
    close() {
      closed ??= (async () => {
        const ending = [...files.values()];
        files.clear();
        await Promise.all(ending.map((file) => file.end()));
      })();
      return closed;
    },
    [Symbol.asyncDispose]: () => journal.close(),
  };
  return journal;
}

interface SessionFile {
  readonly outstanding: JournalEntry[];
  add(entry: JournalEntry): Promise<void>;
  strikeOut(entry: JournalEntry): Promise<void>;
  /** Removed where nothing is outstanding, else marked as left to others. */
  end(): Promise<void>;
}

interface FileOptions {
  dir: string;
  path: string;
  run: string;
  session: string | undefined;
  onStep: JournalStep | undefined;
}

function sessionFile({ dir, path, run, session, onStep }: FileOptions): SessionFile {
  const outstanding = new Map<string, JournalEntry>();
  let handle: FileHandle | undefined;
  let torn = false;
  let ended = false;
  /** One change at a time: a line is on disk whole before the next begins. */
  const turns = createTurns();

  const append = async (line: JournalLine, header = ""): Promise<void> => {
    await onStep?.("before", line);
    try {
      // What a full disk cut off must not swallow the line after it.
      await handle!.appendFile((torn ? "\n" : "") + header + encodeLine(line));
      torn = false;
      await handle!.datasync();
    } catch (error) {
      torn = true;
      throw error;
    }
    await onStep?.("after", line);
  };

  const create = async (first: JournalLine): Promise<void> => {
    for (let attempt = 1; !handle; attempt++) {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      // Another process, which closed the last journal, may have taken the empty folder away in between.
      handle = await open(path, "ax", 0o600).catch((error: NodeJS.ErrnoException) => {
        if (attempt >= 5) throw error;
        ignoreMissing(error);
        return undefined;
      });
    }
    try {
      const self = await identifySelf();
      await append(first, encodeLine({ v: 1, about: ABOUT, run, process: self, ...(session !== undefined && { session }) }));
      await syncDir(dir);
    } catch (error) {
      await remove();
      throw error;
    }
  };

  const remove = async (): Promise<void> => {
    const open = handle;
    handle = undefined;
    torn = false;
    await open?.close();
    await unlink(path).catch(ignoreMissing);
    // The folder goes with its last journal, and stays where it isn't empty.
    await rmdir(dir).catch(() => {});
  };

  return {
    get outstanding() {
      return [...outstanding.values()];
    },
    add: (entry) =>
      turns.run(async () => {
        if (ended) throw new Error(`session ${session} is over`);
        const line: JournalLine = { op: "make", at: new Date().toISOString(), ...entry };
        await (handle ? append(line) : create(line));
        outstanding.set(entry.id, entry);
      }),
    strikeOut: (entry) =>
      turns.run(async () => {
        if (!outstanding.delete(entry.id) || ended) return;
        try {
          await append({ op: "undone", id: entry.id });
        } catch (error) {
          // It is undone. Where that can't be noted down for want of room, it is undone once more after a crash, and no harm is done.
          if (!hasCode(error, "ENOSPC", "EDQUOT")) throw error;
        }
        if (outstanding.size === 0) await remove();
      }),
    end: () =>
      turns.run(async () => {
        if (ended || !handle) return;
        ended = true;
        // Where it can't be marked, it is left to others when this process is gone.
        await append({ op: "left" }).catch(() => {});
        await handle.close();
      }),
  };
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
