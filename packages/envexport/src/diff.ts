import type { EnvEntry } from "@shipside/core";

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
