import type { EnvEntry } from "@shipside/core";

/** What stands in place of a value that is not to be seen. Says nothing of it, not even its length. */
export const MASK = "••••••";

/** The same entries to show to a person: sensitive values masked. */
export function redact(entries: readonly EnvEntry[]): EnvEntry[] {
  return entries.map((entry) => (entry.sensitive ? { ...entry, value: MASK } : entry));
}

/**
 * Takes sensitive values out of any text (logs, errors, output that is passed on), also in base64 and as a line of several. Values of
 * less than 4 characters are let be: they are in every text.
 */
export function redactor(entries: readonly EnvEntry[]): (text: string) => string {
  const secrets = new Set<string>();
  for (const { value, sensitive } of entries) {
    if (!sensitive) continue;
    for (const part of [value, ...value.split(/\r?\n/)]) {
      if (part.trim().length < 4) continue;
      secrets.add(part);
      secrets.add(JSON.stringify(part).slice(1, -1));
    }
    if (value.length >= 4) secrets.add(Buffer.from(value).toString("base64"));
  }
  // The longest first: one value may be a part of another.
  const all = [...secrets].sort((a, b) => b.length - a.length);
  return (text) => all.reduce((rest, secret) => rest.replaceAll(secret, MASK), text);
}
