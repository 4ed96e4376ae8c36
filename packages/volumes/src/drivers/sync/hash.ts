import { createHash } from "node:crypto";
import { hasCode } from "@shipside/core";
import { AWAY, type Tree } from "./tree.ts";

/** SHA-256 of a file, hex. Undefined where it isn't there, is no file, or changes meanwhile. */
export async function hashOf(tree: Tree, path: string): Promise<string | undefined> {
  const hash = createHash("sha256");
  try {
    const read = await tree.read(path, async (chunk) => void hash.update(chunk));
    return read && hash.digest("hex");
  } catch (error) {
    if (hasCode(error, AWAY)) throw error;
    return undefined;
  }
}
