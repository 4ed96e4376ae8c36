import { hasCode, type Logger } from "@shipside/core";
import { conflictNames, renameToFree } from "./aside.ts";
import { hashOf } from "./hash.ts";
import { AWAY, type FileItem, type Item, isSameContent, type Tree } from "./tree.ts";

/** What was replaced, or taken away, under another name beside it: who has it open may still write to it. */
export interface Kept {
  tree: Tree;
  /** Where it was, and what it is called now. */
  path: string;
  name: string;
  /** As it was under that name at first: where it isn't known, or its stamp says too little, the content tells whether it is still that. */
  item?: FileItem | undefined;
  isUnsure?: boolean;
  /** SHA-256 of the content that it should have, hex. */
  hash: string | undefined;
  /** In ms since 1970. */
  since: number;
}

export interface KeptOptions {
  /** Those of this side alone. */
  tree?: Tree;
  /** Those below this folder alone. */
  under?: string;
  /** Those that are as old as that, in ms, and older. */
  age: number;
  label(): string;
  /** Told of what stands beside the file now. */
  onConflict(path: string, name: string): void;
  logger: Logger;
}

/** For {@link Kept}: what was kept, unless it was written to within the moment in which it was. */
export const unwritten = (kept: FileItem, before: Item): FileItem | undefined => (isSameContent(kept, before) ? kept : undefined);

/** How many are looked at at a time. */
const AT_ONCE = 16;

/**
 * Looks once more at what was kept. What is as it was is removed; what somebody has written to has its name again or, where that is taken, a conflict's.
 * Resolves with how many those are.
 */
export async function lookAtKept(all: Set<Kept>, { tree, under, age, label, onConflict, logger }: KeptOptions): Promise<number> {
  const until = Date.now() - age;
  const due = [...all].filter(
    (kept) => kept.since <= until && (!tree || kept.tree === tree) && (under === undefined || kept.path.startsWith(`${under}/`)),
  );
  let changed = 0;
  const queue = due.values();
  const work = async (): Promise<void> => {
    for (const kept of queue) {
      try {
        const is = await stateOf(kept);
        if (is === "changing") continue;
        if (is === "same") await kept.tree.drop(kept.name);
        if (is === "changed") {
          const name = await renameToFree(kept.tree, kept.name, [kept.path, ...conflictNames(kept.path, label())]);
          if (name !== kept.path) onConflict(kept.path, name);
          changed++;
        }
        all.delete(kept);
      } catch (error) {
        if (hasCode(error, AWAY)) throw error;
        logger.debug("what was replaced can't be looked at yet", { path: kept.path, error: (error as Error).message });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return changed;
}

async function stateOf({ tree, name, item, isUnsure, hash }: Kept): Promise<"gone" | "same" | "changed" | "changing"> {
  const now = await tree.look(name);
  if (!now) return "gone";
  if (item && !isUnsure && now.type === "file" && now.stamp === item.stamp) return "same";
  // Its mode or owner may have changed alone.
  const found = await hashOf(tree, name);
  if (found === undefined) return "changing";
  return found === hash ? "same" : "changed";
}
