import { readFile } from "node:fs/promises";

/** Beside the release's own files, where the build puts it. */
export const PROGRAM_FILE = "program.js";

let text: Promise<string> | undefined;

/** The program that runs in the cluster. Run from sources, it is bundled from them. */
export function programText(): Promise<string> {
  text ??= load();
  text.catch(() => {
    text = undefined;
  });
  return text;
}

async function load(): Promise<string> {
  if (!import.meta.url.endsWith(".ts")) return readFile(new URL(PROGRAM_FILE, import.meta.url), "utf8");
  const { bundleProgram } = await import("./bundle.ts");
  return bundleProgram();
}
