// Writes docs/errors.md from the packages' own catalogs; a test says when it is no longer current.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { packages, root } from "./packages.ts";

const page = `${root}docs/errors.md`;

export async function errorsPage(): Promise<string> {
  const sections: string[] = [];
  for (const [folder, { name }] of packages()) {
    const exported = (await import(pathToFileURL(`${root}packages/${folder}/src/index.ts`).href)) as Record<string, unknown>;
    const codes = Object.entries(exported)
      .filter(([key]) => key.endsWith("_ERRORS"))
      .flatMap(([, catalog]) => Object.entries(catalog as Record<string, string>))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    if (codes.length === 0) continue;
    sections.push(
      `## ${name}\n\n| code | what it means |\n| --- | --- |\n${codes.map(([code, text]) => `| \`${code}\` | ${text} |`).join("\n")}\n`,
    );
  }
  return `# Errors

Every error that a user can meet has a stable \`code\`. Match the code, never the message or the class. The command line prints it as
\`error[CODE]\`, with a hint that says what to do; \`--json\` prints \`{ "error": { "code", "message", "hint", "details", "causes" } }\`.
Exit codes: [the table in the CLI's page](../packages/cli/README.md).

This page is written by \`pnpm docs:errors\` from the packages' own catalogs.

${sections.join("\n")}`;
}

if (import.meta.main) writeFileSync(page, await errorsPage());

/** What stands in docs/errors.md now. */
export function writtenErrorsPage(): string {
  return readFileSync(page, "utf8");
}
