import type { EnvEntry, EnvOrigin } from "@shipside/core";
import { describeOrigin } from "./origin.ts";
import { MASK } from "./redact.ts";
import type { EnvDifference } from "./with-running.ts";

export interface ExplainRow {
  name: string;
  /** To show: masked where it is sensitive. Absent where the running container hasn't the variable. */
  value?: string;
  sensitive: boolean;
  origin: EnvOrigin;
  /** Where the running container was asked, and has something else than the spec says now: what that is, to show. */
  spec?: { value: string; origin: EnvOrigin };
}

export interface ExplainOptions {
  /** Of a collection `from: "running"`. */
  differences?: readonly EnvDifference[] | undefined;
  /** With the values of secrets. Default false. */
  reveal?: boolean;
}

/** Where each variable comes from, in their order; those that a running container hasn't come last. */
export function explain(entries: readonly EnvEntry[], { differences = [], reveal = false }: ExplainOptions = {}): ExplainRow[] {
  const spec = new Map(differences.flatMap((each) => (each.spec ? [[each.name, each.spec] as const] : [])));
  const rows = entries.map((entry): ExplainRow => {
    const { name, value, origin } = entry;
    const said = origin.from === "image" ? spec.get(name) : undefined;
    const sensitive = entry.sensitive === true || said?.sensitive === true;
    const shown = (text: string): string => (sensitive && !reveal ? MASK : text);
    return {
      name,
      value: shown(value),
      sensitive,
      origin,
      ...(said && { spec: { value: shown(said.value), origin: said.origin } }),
    };
  });
  const gone = differences.flatMap(({ name, spec: said, running }): ExplainRow[] => {
    if (!said || running) return [];
    const value = said.sensitive && !reveal ? MASK : said.value;
    return [{ name, sensitive: said.sensitive === true, origin: said.origin, spec: { value, origin: said.origin } }];
  });
  return [...rows, ...gone];
}

/** What differs from the spec, in words; undefined where nothing does. */
export function describeDifference(
  { value, spec }: ExplainRow,
  show: (text: string) => string = (text) => text,
): string | undefined {
  if (!spec) return undefined;
  const says = `the spec says ${show(spec.value)} (${describeOrigin(spec.origin)})`;
  return value === undefined ? `the running container hasn't it; ${says}` : says;
}
