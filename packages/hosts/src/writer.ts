import { isAbsolute } from "node:path";
import {
  type Closable,
  createTurns,
  type HostsConflict,
  type HostsEntry,
  type HostsOwner,
  type HostsPlan,
  hasCode,
  type Logger,
  silentLogger,
} from "@shipside/core";
import { isOwnerName, replaceBlock, tagOf } from "./block.ts";
import { changeHosts } from "./change.ts";
import { hostsError } from "./errors.ts";
import { checkEntries } from "./names.ts";
import { defaultHostsPath, lineRules } from "./platform.ts";
import { renderLines } from "./render.ts";
import { readSnapshot } from "./snapshot.ts";

export interface HostsWriterOptions {
  /** Whose lines: letters, digits, `.`, `_`, `@`, `-`; at most 63. Two handles with one owner replace each other's lines. */
  owner: string;
  /** Absolute. Default: the platform's hosts file. */
  path?: string;
  /** Absolute. Where the copy of the original is kept. Default: beside the file, as `<file>.shipside-backup`. */
  backupDir?: string;
  /** How long to wait for another process's change, in ms, 0 or more. Default 5,000. */
  lockTimeoutMs?: number;
  /** Whose rules the lines follow. Default: this machine's. */
  platform?: NodeJS.Platform;
  /** Ends a wait for the lock. */
  signal?: AbortSignal;
  logger?: Logger;
}

/** The names of `entries` that others' lines of the file give another address. */
export type FindConflicts = (path: string, owner: string, entries: readonly HostsEntry[]) => Promise<HostsConflict[]>;

/**
 * The half of this package that writes: `openHosts` without a look at what others' lines say, and so without third-party code, for a
 * process with privileges. `conflicts` is always empty unless `findConflicts` is given.
 */
export async function openHostsWriter(options: HostsWriterOptions, findConflicts?: FindConflicts): Promise<HostsOwner> {
  const { owner, backupDir, lockTimeoutMs = 5_000, platform = process.platform } = options;
  const { path = defaultHostsPath(platform), signal = new AbortController().signal, logger = silentLogger } = options;
  checkOptions({ owner, path, backupDir, lockTimeoutMs });
  await readSnapshot(path);

  const rules = lineRules(platform);
  const render = (entries: readonly HostsEntry[]): string[] => renderLines(entries, tagOf(owner), rules);
  const conflicts = async (entries: readonly HostsEntry[]) => (await findConflicts?.(path, owner, entries)) ?? [];

  /** Makes `lines` the owner's. Resolves to the owner's lines before. */
  const write = async (lines: readonly string[]): Promise<{ previous: string[]; unchanged: boolean }> => {
    const change = await changeHosts(
      { path, owner, backupDir, lockTimeoutMs, signal, logger, backup: lines.length > 0 },
      (text) => replaceBlock(text, owner, lines, rules.eol).text,
    );
    const { previous } = replaceBlock(change.before, owner, [], rules.eol);
    return { previous, unchanged: change.after === change.before };
  };

  let applied = false;
  /** One change at a time: a handle never waits for its own lock. */
  const turns = createTurns();
  const assertOpen = (what: string): void => {
    if (turns.ended) {
      throw hostsError("HOSTS_CLOSED", `${what} on the hosts owner ${owner} after close()`, {
        hint: "open another with openHosts",
      });
    }
  };

  const restore = async (): Promise<void> => {
    const { text } = await readSnapshot(path).catch((error) => {
      // No file, no lines of ours.
      if (hasCode(error, "HOSTS_MISSING")) return { text: "" };
      throw error;
    });
    // What has nothing of ours needs no write, no lock and no privilege.
    if (replaceBlock(text, owner, [], rules.eol).text !== text) await write([]);
    applied = false;
  };

  const self: HostsOwner & Closable = {
    async plan(entries) {
      assertOpen("plan");
      checkEntries(entries);
      const { text } = await readSnapshot(path);
      const lines = render(entries);
      const edit = replaceBlock(text, owner, lines, rules.eol);
      return { ...diff(edit.previous, lines), conflicts: await conflicts(entries), unchanged: edit.text === text };
    },
    async apply(entries) {
      assertOpen("apply");
      checkEntries(entries);
      const lines = render(entries);
      return turns.run(async () => {
        applied = true;
        const { previous, unchanged } = await write(lines);
        return { ...diff(previous, lines), conflicts: await conflicts(entries), unchanged };
      });
    },
    async restore() {
      assertOpen("restore");
      await turns.run(restore);
    },
    close: () =>
      turns.end(async () => {
        if (applied) await restore();
      }),
    [Symbol.asyncDispose]: () => self.close(),
  };
  return self;
}

function diff(before: readonly string[], after: readonly string[]): Pick<HostsPlan, "added" | "removed"> {
  const had = new Set(before);
  const has = new Set(after);
  return { added: after.filter((line) => !had.has(line)), removed: before.filter((line) => !has.has(line)) };
}

function checkOptions(options: Pick<HostsWriterOptions, "owner" | "path" | "backupDir" | "lockTimeoutMs">): void {
  const { owner, path, backupDir, lockTimeoutMs } = options;
  const bad = (what: string, hint: string): Error => hostsError("HOSTS_INVALID_OPTION", `openHosts: ${what}`, { hint });
  if (!isOwnerName(owner)) {
    throw bad(`owner ${JSON.stringify(owner)} is not a name`, "use letters, digits, `.`, `_`, `@` and `-`; at most 63");
  }
  for (const [name, value] of Object.entries({ path, backupDir })) {
    if (value !== undefined && (typeof value !== "string" || !isAbsolute(value))) {
      throw bad(`${name} ${JSON.stringify(value)} is not an absolute path`, "resolve it first");
    }
  }
  if (typeof lockTimeoutMs !== "number" || !(lockTimeoutMs >= 0)) throw bad("lockTimeoutMs must be 0 or more", "give it in ms");
}
