import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A development dependency, and so not one that the release may look for: it carries the program ready-made. */
const BUNDLER: string = "esbuild";

/** The program as one file, from its sources, as the build makes it (`standalone` in package.json): only Node's own modules are left as imports. */
export async function bundleProgram(): Promise<string> {
  const { build } = (await import(BUNDLER)) as { build(options: object): Promise<{ outputFiles: Array<{ text: string }> }> };
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("./program/main.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "node",
    target: "node22",
    conditions: ["@shipside/source"],
    define: { SHIPSIDE_VERSION: JSON.stringify(version) },
    legalComments: "none",
    logLevel: "silent",
  });
  return outputFiles[0]!.text;
}
