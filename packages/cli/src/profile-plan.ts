import { type ErrorJson, errorToJson } from "@shipside/core";
import type { SessionPreview } from "@shipside/daemon";
import type { PlannedEntry, ProfilePlan } from "@shipside/daemon/profile";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { errorLines, type Terminal } from "./terminal.ts";

interface ShownEntry {
  entry: string;
  kind: string;
  title: string;
  /** Undefined for a kind that can't be opened yet, and where asking failed. */
  makes?: SessionPreview;
  error?: ErrorJson;
}

/** How many of a list are named to a person. */
const NAMED = 8;

/** `up --dry-run`: asks, and makes nothing. */
export async function showPlan({ file, entries }: ProfilePlan, terminal: Terminal, signal: AbortSignal): Promise<number> {
  terminal.busy("asking the cluster");
  const { previewSession } = await import("@shipside/daemon");
  const shown = await Promise.all(
    entries.map(async ({ entry, list, title, options }: PlannedEntry): Promise<ShownEntry> => {
      const facts = { entry, kind: list, title };
      try {
        return { ...facts, makes: await previewSession(options, signal) };
      } catch (error) {
        return { ...facts, error: errorToJson(error) };
      }
    }),
  );
  const { out } = terminal;
  const some = (texts: readonly string[]): string =>
    texts.length === 0
      ? "none"
      : `${texts.length}: ${texts.slice(0, NAMED).join(", ")}${texts.length > NAMED ? `, and ${texts.length - NAMED} more` : ""}`;
  const lines = shown.flatMap(({ entry, title, makes, error }) => {
    if (error) return [`${out("bold", entry)}  ${title}`, ...errorLines(error, out).map((line) => `  ${line}`)];
    if (!makes) return [];
    const { context, namespace, server, workload, services, names, files, namespaces, cluster } = makes;
    return [
      `${out("bold", entry)}  ${workload ?? title}`,
      `  context ${context}, namespace ${[namespace, ...namespaces.filter((each) => each !== namespace)].join(", ")}, ${server}`,
      ...(namespaces.length > 0
        ? [
            `  services ${some(services.map((service, i) => `${names[i]} ${service.ports.join(" ")}`.trim()))}`,
            `  names    ${some(names)}${names.length > 0 ? " (and their longer forms)" : ""}`,
          ]
        : []),
      ...(cluster.length > 0 ? [`  cluster  ${cluster.join("; ")}`] : []),
      ...(files.length > 0 ? [`  files    ${files.join(", ")}`] : []),
    ];
  });
  terminal.result({ file, entries: shown }, lines.length === 0 ? `${file} says nothing` : lines.join("\n"));
  const failed = shown.find(({ error }) => error)?.error;
  return failed ? exitCodeOf(failed) : EXIT.ok;
}
