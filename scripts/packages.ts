import { globSync, readFileSync } from "node:fs";

export interface Manifest {
  name: string;
  private?: boolean;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
  engines?: Record<string, string>;
}

/** The published packages by folder name. */
export function packages(): Map<string, Manifest> {
  const found = globSync("packages/*/package.json", { cwd: root }).sort();
  return new Map(found.map((path) => [path.split("/")[1]!, JSON.parse(readFileSync(`${root}${path}`, "utf8")) as Manifest]));
}

/** The repository's root, with a slash at the end. */
export const root = new URL("../", import.meta.url).pathname;
