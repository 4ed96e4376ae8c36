import type { SessionInfo } from "../session-info.ts";
import type { PlannedEntry } from "./plan.ts";

/** What `up` does: nothing to `kept`; first `closed`, then `opened`, in the file's order. */
export interface ProfileChanges<S> {
  kept: S[];
  closed: S[];
  opened: PlannedEntry[];
}

/**
 * What differs between a file and the sessions that are open by it. An entry that says the same is the same, wherever it stands by now
 * and whatever its number is. Pure.
 */
export function changesOf<S extends Pick<SessionInfo, "origin">>(
  entries: readonly PlannedEntry[],
  open: readonly S[],
): ProfileChanges<S> {
  const left = [...open];
  const kept: S[] = [];
  const opened = entries.filter(({ options }) => {
    const at = left.findIndex(({ origin }) => origin?.digest === options.origin?.digest);
    if (at < 0) return true;
    kept.push(...left.splice(at, 1));
    return false;
  });
  return { kept, closed: left, opened };
}
