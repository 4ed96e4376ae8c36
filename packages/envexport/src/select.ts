import type { EnvEntry } from "@shipside/core";
import { mergeEntries } from "./merge.ts";

export interface EnvSelection {
  /** Globs (`*`, `?`) of names; empty or absent: all. */
  only?: readonly string[];
  /** Of what is left, those that are not wanted. */
  except?: readonly string[];
  /** Default true. False: nothing that comes from a Secret. */
  secrets?: boolean;
  /** Set in any case, after all else. */
  set?: Readonly<Record<string, string>>;
}

/** What of an environment is wanted. */
export function selectEntries(
  entries: readonly EnvEntry[],
  { only = [], except = [], secrets = true, set = {} }: EnvSelection,
): EnvEntry[] {
  const [wanted, unwanted] = [only.map(glob), except.map(glob)];
  const chosen = entries.filter(
    ({ name, sensitive }) =>
      (wanted.length === 0 || wanted.some((pattern) => pattern.test(name))) &&
      !unwanted.some((pattern) => pattern.test(name)) &&
      (secrets || !sensitive),
  );
  const extra = Object.entries(set).map(([name, value]): EnvEntry => ({ name, value, origin: { from: "local", where: "--set" } }));
  return mergeEntries(chosen, extra);
}

const glob = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replaceAll("*", ".*")
      .replaceAll("?", ".")}$`,
    "s",
  );
