import type { EnvEntry } from "@shipside/core";

/** One entry a name: the last one's, in the place of the first. */
export function mergeEntries(...lists: ReadonlyArray<readonly EnvEntry[]>): EnvEntry[] {
  return [...new Map(lists.flat().map((entry) => [entry.name, entry])).values()];
}
