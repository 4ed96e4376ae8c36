import { randomBytes } from "node:crypto";
import { hasCode } from "@shipside/core";
import { PARTIAL, parentOf, type Tree } from "./tree.ts";

/** What files are called that nobody should see, each beside its own; and what becomes of those that a process left there which was killed. */

const KEPT = `${PARTIAL}kept-`;
/** With what comes before it, no longer than a name may be. */
const LONGEST = 200;
const random = (): string => randomBytes(8).toString("hex");
const beside = (path: string, name: string): string => [parentOf(path), name].filter((part) => part !== "").join("/");
const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Of a copy until it is whole. Nobody else's: several may copy the same file. */
export const partialOf = (path: string): string => beside(path, `${PARTIAL}${random()}`);

/** Of what had the path's name, and may still be written to. */
export const keptOf = (path: string): string => beside(path, `${KEPT}${random()}-${nameOf(path).slice(0, LONGEST)}`);

/** What had it, by {@link keptOf}. */
function pathOfKept(name: string): string | undefined {
  const [, rest] = nameOf(name).split(KEPT);
  return rest === undefined ? undefined : beside(name, rest.slice(rest.indexOf("-") + 1));
}

/** Of a file whose own name another one has. */
export function conflictNames(path: string, label: string): string[] {
  return Array.from({ length: 100 }, (_, count) => `${path}.conflict-${label}${count > 0 ? `-${count + 1}` : ""}`);
}

/** Renames to the first name that nothing has. */
export async function renameToFree(tree: Tree, from: string, names: readonly string[]): Promise<string> {
  for (const name of names) {
    try {
      await tree.rename(from, name);
      return name;
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
  }
  throw Object.assign(new Error(`all names for ${from} are taken`), { code: "EEXIST" });
}

/**
 * Of a process that was killed: a copy that wasn't whole goes, and so does what was kept of a file, unless somebody has written to it since. That
 * has its name again, or a conflict's.
 */
export async function clearAside(tree: Tree, name: string, label: string): Promise<void> {
  const path = pathOfKept(name);
  const item = path === undefined ? undefined : await tree.look(name);
  // To be kept was its last change, else.
  const isWritten = item?.type === "file" && item.unsureFor > 0;
  if (path === undefined || !isWritten) await tree.drop(name);
  else await renameToFree(tree, name, [path, ...conflictNames(path, label)]);
}
