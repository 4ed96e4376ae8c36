import type { EnvEntry } from "@shipside/core";
import type { EnvWarning } from "./container-env.ts";
import { markSensitive } from "./sensitive.ts";

/** Where the running container has something else than its spec says now. Each side's entry is there where that side has it. */
export interface EnvDifference {
  name: string;
  spec?: EnvEntry;
  running?: EnvEntry;
}

export interface RunningInputs {
  /** As the spec says it, with the cluster's own addresses. */
  spec: readonly EnvEntry[];
  /** The same with the addresses that are wanted; taken for every value that is as the spec says. */
  local: readonly EnvEntry[];
  running: ReadonlyMap<string, string>;
  /** Where it runs. */
  pod: string;
  warnings: readonly EnvWarning[];
}

/**
 * What a running container has, with the origins that the spec knows; what the spec doesn't know comes from the image (its ENV, the
 * runtime, an entrypoint). Pure.
 */
export function withRunning({ spec, local, running, pod, warnings }: RunningInputs): {
  entries: EnvEntry[];
  differences: EnvDifference[];
  warnings: EnvWarning[];
} {
  const said = new Map(spec.map((entry) => [entry.name, entry]));
  const wanted = new Map(local.map((entry) => [entry.name, entry]));
  const hidden = hiddenNames(warnings);
  const found = [...running].map(([name, value]): EnvEntry => {
    const entry = said.get(name);
    if (entry?.value === value) return wanted.get(name) ?? entry;
    const sensitive = entry?.sensitive || hidden(name);
    return { name, value, origin: { from: "image", pod }, ...(sensitive && { sensitive }) };
  });
  const entries = markSensitive(found, spec);
  const has = new Map(entries.map((entry) => [entry.name, entry]));
  const changed = entries.flatMap((entry): EnvDifference[] => {
    if (entry.origin.from !== "image") return [];
    const before = said.get(entry.name);
    return [{ name: entry.name, ...(before && { spec: before }), running: entry }];
  });
  const gone = spec.filter(({ name }) => !has.has(name)).map((entry): EnvDifference => ({ name: entry.name, spec: entry }));
  return {
    entries,
    differences: [...changed, ...gone],
    warnings: warnings.filter(({ name }) => name === undefined || !running.has(name)),
  };
}

/** What was left out because it may not be read is a Secret for all that one knows; where not even names are known, anything may be. */
function hiddenNames(warnings: readonly EnvWarning[]): (name: string) => boolean {
  const forbidden = warnings.filter(({ reason }) => reason === "FORBIDDEN");
  const all = forbidden.some(({ name }) => name === undefined);
  const names = new Set(forbidden.map(({ name }) => name));
  return (name) => all || names.has(name);
}
