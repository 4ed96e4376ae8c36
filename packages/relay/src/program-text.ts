import { readFile } from "node:fs/promises";

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
  if (!import.meta.url.endsWith(".ts")) return readFile(new URL("./program/main.js", import.meta.url), "utf8");
  const { bundleProgram } = await import("./bundle.ts");
  return bundleProgram();
}
