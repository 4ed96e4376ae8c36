import { type Item, type Scan, stampOf } from "./tree.ts";

/** What both sides were last known to agree on, by path. */
export interface Agreed {
  type: "file" | "directory" | "link";
  /** Of the item on each side: see `stampOf`. */
  local: string;
  remote: string;
  /** Of a file's content: SHA-256, hex. */
  hash?: string;
  /** Until then, in ms since 1970, these sides may have changed once more with all that is seen of it staying the same. */
  fresh?: { until: number; sides: Array<"local" | "remote"> };
}

export interface Action {
  path: string;
  /**
   * `up` and `down`: the item is brought to the other side. `remove-…`: it is taken away there, since it was taken away here. `compare`: files
   * that both sides have made or changed. `conflict`: things of which only one can have the name. `agree`: they are the same. `forget`: it is
   * gone on both.
   */
  what: "up" | "down" | "remove-remote" | "remove-local" | "compare" | "conflict" | "agree" | "forget";
}

/**
 * What is to be done for both sides to be the same. What one side has taken away is taken away on the other only where both had it, the other
 * hasn't changed it since, and the scan would have found it: a folder that could not be read says nothing about what is in it. Pure.
 */
export function reconcile(agreed: ReadonlyMap<string, Agreed>, local: Scan, remote: Scan): Action[] {
  const actions: Action[] = [];
  const paths = new Set([...agreed.keys(), ...local.items.keys(), ...remote.items.keys()]);
  for (const path of paths) {
    const [here, there, before] = [local.items.get(path), remote.items.get(path), agreed.get(path)];
    if (here?.type === "other" || there?.type === "other") continue;
    if ((!here && isMissed(local, path)) || (!there && isMissed(remote, path))) continue;
    const what = decide(here, there, before);
    if (what) actions.push({ path, what });
  }
  return actions;
}

function decide(here: Item | undefined, there: Item | undefined, before: Agreed | undefined): Action["what"] | undefined {
  const changedHere = stampOf(here) !== before?.local;
  const changedThere = stampOf(there) !== before?.remote;
  if (!changedHere && !changedThere) return undefined;
  if (!changedThere) return here ? "up" : "remove-remote";
  if (!changedHere) return there ? "down" : "remove-local";
  if (!here && !there) return "forget";
  // Whoever changed it wants it more than who took it away.
  if (!here) return "down";
  if (!there) return "up";
  if (here.type === "file" && there.type === "file") return "compare";
  return here.type !== "file" && stampOf(here) === stampOf(there) ? "agree" : "conflict";
}

const isMissed = ({ missed }: Scan, path: string): boolean => missed.some((each) => each === "" || path.startsWith(`${each}/`));
