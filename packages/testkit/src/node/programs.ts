import { accessSync, constants, statSync } from "node:fs";
import { join } from "node:path";

/** What images have as PATH. */
export const SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Where a program is: `node` is this process's own; a word with a slash is a path; anything else is looked for on `path`. */
export function findProgram(word: string, path: string): string | undefined {
  if (word === "node" || word === "/usr/local/bin/node") return process.execPath;
  if (word.includes("/")) return isExecutable(word) ? word : undefined;
  return path
    .split(":")
    .filter(Boolean)
    .map((directory) => join(directory, word))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** One of the system's own programs, wherever this process's PATH doesn't lead. Throws where the machine hasn't got it. */
export function findTool(name: string): string {
  const found = tools.get(name) ?? findProgram(name, `${process.env["PATH"] ?? ""}:${SYSTEM_PATH}`);
  if (found === undefined) throw Object.assign(new Error(`this machine has no ${name}`), { code: "ENOENT" });
  tools.set(name, found);
  return found;
}

const tools = new Map<string, string>();
