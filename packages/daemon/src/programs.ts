import { fileURLToPath } from "node:url";

const source = import.meta.url.endsWith(".ts");

/** A program of this package, as a file: the folders below `src` and `dist` are alike, and this file's code is at the top of both. */
export function programPath(name: "main" | `${"launch" | "helper"}/${string}`): string {
  return fileURLToPath(new URL(`./${name}.${source ? "ts" : "js"}`, import.meta.url));
}

/** What Node needs to run a program from source. */
export const sourceFlags: readonly string[] = source ? ["--conditions=@shipside/source"] : [];
