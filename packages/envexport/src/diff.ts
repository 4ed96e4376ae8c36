import type { EnvEntry } from "@shipside/core";
import { MASK } from "./redact.ts";
import { markSensitive } from "./sensitive.ts";

export interface EnvDiff {
  added: EnvEntry[];
  removed: EnvEntry[];
  /** Another value. */
  changed: Array<{ before: EnvEntry; after: EnvEntry }>;
}

/** What differs in values; an entry that only comes from elsewhere now is the same. */
export function diffEntries(before: readonly EnvEntry[], after: readonly EnvEntry[]): EnvDiff {
  const had = new Map(before.map((entry) => [entry.name, entry]));
  const has = new Map(after.map((entry) => [entry.name, entry]));
  return {
    added: [...has.values()].filter(({ name }) => !had.has(name)),
    removed: [...had.values()].filter(({ name }) => !has.has(name)),
    changed: [...has.values()].flatMap((now) => {
      const then = had.get(now.name);
      return then && then.value !== now.value ? [{ before: then, after: now }] : [];
    }),
  };
}

export const isSame = ({ added, removed, changed }: EnvDiff): boolean => added.length + removed.length + changed.length === 0;

export interface DiffOptions {
  /** False: what only the second has isn't told, as a shell has much besides. Default true. */
  extra?: boolean;
}

/**
 * What differs between two environments wherever they come from: collected ones (of another workload, namespace, cluster),
 * `readEnvFile`, `shellEntries`. What has no origin that says so is taken for sensitive where its name or the other side tells it.
 */
export function diffEnv(before: readonly EnvEntry[], after: readonly EnvEntry[], { extra = true }: DiffOptions = {}): EnvDiff {
  const difference = diffEntries(markSensitive(before, after), markSensitive(after, before));
  return extra ? difference : { ...difference, added: [] };
}

/** The names of all that differs, sorted: no value is told. */
export const changedNames = ({ added, removed, changed }: EnvDiff): string[] =>
  [...added, ...removed, ...changed.map(({ after }) => after)].map(({ name }) => name).sort();

export interface DiffRow {
  name: string;
  change: "added" | "removed" | "changed";
  /** To show: masked where either side is sensitive. */
  before?: string;
  after?: string;
  sensitive: boolean;
  /** Of the value that is there now; of the earlier one where it was removed. */
  origin: EnvEntry["origin"];
}

/** A difference to show, by name. `reveal`: with the values of secrets. */
export function diffRows({ added, removed, changed }: EnvDiff, { reveal = false }: { reveal?: boolean } = {}): DiffRow[] {
  const row = (change: DiffRow["change"], before: EnvEntry | undefined, after: EnvEntry | undefined): DiffRow[] => {
    const entry = after ?? before;
    if (!entry) return [];
    const sensitive = before?.sensitive === true || after?.sensitive === true;
    const shown = (of: EnvEntry): string => (sensitive && !reveal ? MASK : of.value);
    return [
      {
        name: entry.name,
        change,
        ...(before && { before: shown(before) }),
        ...(after && { after: shown(after) }),
        sensitive,
        origin: entry.origin,
      },
    ];
  };
  const rows = [
    ...added.flatMap((entry) => row("added", undefined, entry)),
    ...removed.flatMap((entry) => row("removed", entry, undefined)),
    ...changed.flatMap(({ before, after }) => row("changed", before, after)),
  ];
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}
