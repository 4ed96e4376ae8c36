import { rename, unlink } from "node:fs/promises";
import { type Logger, silentLogger } from "@shipside/core";
import { daemonError } from "./errors.ts";
import { claimJournal, isAbandoned, type JournalEntry, readAbandoned, readJournals } from "./journal.ts";
import { residueKinds } from "./residue/index.ts";

export interface RecoverReport {
  /** What processes that are gone had left, undone now. */
  undone: JournalEntry[];
  /** What could not be undone; its journal stays. */
  failed: Array<{ entry: JournalEntry; error: Error }>;
}

/**
 * Undoes what processes that are gone left behind, newest first. Safe to run at any time and from several processes at once: a
 * journal is undone by one of them, and those of running processes are not touched.
 */
export async function recover(options: { stateDir: string; logger?: Logger }): Promise<RecoverReport> {
  const { stateDir, logger = silentLogger } = options;
  const report: RecoverReport = { undone: [], failed: [] };
  for (const abandoned of await readAbandoned(stateDir)) {
    const journal = await claimJournal(abandoned);
    if (!journal) continue;
    let failed = false;
    for (const entry of journal.outstanding.toReversed()) {
      try {
        await undoEntry(entry);
        report.undone.push(entry);
        logger.info("undid what a process that is gone had left", { kind: entry.kind, run: journal.run });
      } catch (error) {
        failed = true;
        report.failed.push({ entry, error: error as Error });
      }
    }
    if (failed) await rename(journal.path, abandoned.path);
    else await unlink(journal.path);
  }
  return report;
}

/** What is still there of everything in the journals: of running processes (`alive`), and of those that are gone. */
export async function residueLeft(stateDir: string): Promise<Array<{ kind: string; what: string; alive: boolean }>> {
  const left: Array<{ kind: string; what: string; alive: boolean }> = [];
  for (const journal of await readJournals(stateDir)) {
    const alive = !(await isAbandoned(journal));
    for (const { kind, data } of journal.outstanding) {
      const what = await residueKinds
        .get(kind)
        ?.left(data)
        .catch((error: Error) => `${kind}: ${error.message}`);
      if (what !== undefined) left.push({ kind, what, alive });
    }
  }
  return left;
}

async function undoEntry(entry: JournalEntry): Promise<void> {
  const kind = residueKinds.get(entry.kind);
  if (!kind) {
    throw daemonError(
      "UNDO_FAILED",
      `the journal names a residue of kind ${JSON.stringify(entry.kind)}, which this version doesn't know`,
      {
        hint: "a newer shipside made it: run that one's `shipside session clean`",
      },
    );
  }
  await kind.undo(entry.data);
}
