import { open, rename, rmdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { hasCode, type Logger, silentLogger } from "@shipside/core";
import { daemonError } from "./errors.ts";
import type { JournalStep } from "./journal.ts";
import {
  claimJournal,
  encodeLine,
  ignoreMissing,
  isAbandoned,
  type JournalEntry,
  readAbandoned,
  readJournals,
  type StoredJournal,
  unclaimedPath,
} from "./journal-files.ts";
import { mergeRules, type Rule } from "./rbac/rule.ts";
import { type ConnectionOptions, createConnections } from "./residue/cluster-address.ts";
import { residueKinds } from "./residue/index.ts";
import type { UndoContext, Undone } from "./residue/kind.ts";

export interface RecoverOptions {
  stateDir: string;
  /** "machine" leaves what is in clusters alone: undoing that takes the network and credentials. Default "everywhere". */
  where?: "machine" | "everywhere";
  /** How the clusters are reached. */
  connections?: ConnectionOptions;
  /** Takes what can't be undone off the record: nobody will try again. */
  forget?: boolean;
  logger?: Logger;
  /** As a journal's. */
  onStep?: JournalStep;
}

/** A journal's entry, and how it went. */
export interface RecoveredEntry extends JournalEntry, Undone {
  /** In a few words for a person. */
  what: string;
}

export interface RecoverReport {
  /** What others had left, undone now, or found to have gone (`gone`): nothing is left of it. */
  undone: RecoveredEntry[];
  /** What could not be undone. It stays on record for the next try, unless it was to be forgotten. */
  failed: Array<{ entry: RecoveredEntry; error: Error }>;
  /** What is in clusters, and was not to be undone now. */
  waiting: RecoveredEntry[];
}

/**
 * Undoes what processes that are gone left behind, and what running ones gave up, newest first; one failure doesn't stop the others. Safe
 * to run at any time and from several processes at once: a journal is undone by one of them, and what running processes use is not
 * touched.
 */
export async function recover(options: RecoverOptions): Promise<RecoverReport> {
  const { stateDir, where = "everywhere", logger = silentLogger } = options;
  const report: RecoverReport = { undone: [], failed: [], waiting: [] };
  await using connections = createConnections(options.connections);
  for (const abandoned of await readAbandoned(stateDir)) {
    const inCluster = (entry: JournalEntry): boolean => residueKinds.get(entry.kind)?.place === "cluster";
    if (where === "machine" && abandoned.outstanding.length > 0 && abandoned.outstanding.every(inCluster)) {
      report.waiting.push(...abandoned.outstanding.map(told));
      continue;
    }
    const journal = await claimJournal(abandoned);
    if (!journal) continue;
    const strikeOut = await openClaimed(journal, options.onStep);
    try {
      for (const entry of journal.outstanding.toReversed()) {
        if (where === "machine" && inCluster(entry)) {
          report.waiting.push(told(entry));
          continue;
        }
        try {
          const how = await undoEntry(entry, connections);
          report.undone.push({ ...told(entry), ...how });
          const did = how.gone ? "found nothing left of what another process had made" : "undid what another process had left";
          logger.info(did, { kind: entry.kind, run: journal.run });
        } catch (error) {
          report.failed.push({ entry: told(entry), error: error as Error });
          if (!options.forget) continue;
        }
        await strikeOut.entry(entry);
      }
    } finally {
      await strikeOut.close();
    }
  }
  return report;
}

/** What is still there of everything in the journals: of running processes (`alive`), and what is anybody's to undo. Asks no cluster. */
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

/** What undoing the rest takes in clusters, by the kubeconfig's context. Asks none. */
export async function rightsToUndo(stateDir: string): Promise<Array<{ context: string; rules: Rule[] }>> {
  const found = new Map<string, Rule[]>();
  for (const { outstanding } of await readAbandoned(stateDir)) {
    for (const { kind, data } of outstanding) {
      const rules = residueKinds.get(kind)?.rules?.(data);
      if (!rules) continue;
      const context = String(data["context"]);
      found.set(context, [...(found.get(context) ?? []), ...rules]);
    }
  }
  return [...found].map(([context, rules]) => ({ context, rules: mergeRules(rules) }));
}

/** Strikes out in a claimed journal; at the end the file is removed, or given back with what is still outstanding. */
async function openClaimed(
  journal: StoredJournal,
  onStep: JournalStep | undefined,
): Promise<{ entry(entry: JournalEntry): Promise<void>; close(): Promise<void> }> {
  const outstanding = new Set(journal.outstanding.map(({ id }) => id));
  const file = await open(journal.path, "a").catch(() => undefined);
  // Its last line may have been cut off.
  await file?.appendFile("\n").catch(() => {});
  return {
    async entry({ id }) {
      const line = { op: "undone", id } as const;
      await onStep?.("before", line);
      outstanding.delete(id);
      try {
        await file?.appendFile(`${encodeLine(line)}`);
        await file?.datasync();
      } catch (error) {
        // Undone all the same; with no room to note it down, it is undone once more next time, which does no harm.
        if (!hasCode(error, "ENOSPC", "EDQUOT")) throw error;
      }
      await onStep?.("after", line);
    },
    async close() {
      await file?.close();
      if (outstanding.size > 0) await rename(journal.path, unclaimedPath(journal.path));
      else {
        await unlink(journal.path).catch(ignoreMissing);
        await rmdir(dirname(journal.path)).catch(() => {});
      }
    },
  };
}

async function undoEntry(entry: JournalEntry, context: UndoContext): Promise<Undone> {
  const kind = residueKinds.get(entry.kind);
  if (!kind) {
    throw daemonError(
      "UNDO_FAILED",
      `the journal names a residue of kind ${JSON.stringify(entry.kind)}, which this version doesn't know`,
      { hint: "a newer shipside made it: run that one's `shipside clean`" },
    );
  }
  // It is undone all the same, for there may be something beside it: the folder that was made for a mount.
  const left = await kind.left(entry.data).catch(() => entry.kind);
  const how = (await kind.undo(entry.data, context)) ?? {};
  return left === undefined && how.said === undefined ? { ...how, gone: true } : how;
}

function told(entry: JournalEntry): RecoveredEntry {
  let what: string | undefined;
  try {
    what = residueKinds.get(entry.kind)?.describe(entry.data);
  } catch {
    // Damaged data: its kind must do.
  }
  return { ...entry, what: what ?? entry.kind };
}
