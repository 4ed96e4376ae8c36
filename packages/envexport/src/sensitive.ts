import type { EnvEntry } from "@shipside/core";

/** Words that a name has where its value is nobody's business. */
const TELLING =
  /pass(word|wd|phrase)?|secret|token|credential|private|api_?key|access_?key|_key$|^key$|auth|cookie|salt|signature/i;
/** A shorter secret is a part of everything. */
const MIN_LENGTH = 4;

/**
 * Marks what is to be masked among entries whose origin doesn't say it (the image's, a file's, the shell's): what has the value, or
 * the name, of something `known` to be sensitive, or a name that tells it.
 */
export function markSensitive(entries: readonly EnvEntry[], known: readonly EnvEntry[] = []): EnvEntry[] {
  const secrets = known.filter(({ sensitive }) => sensitive);
  const names = new Set(secrets.map(({ name }) => name));
  const values = [...new Set(secrets.map(({ value }) => value))].filter(({ length }) => length >= MIN_LENGTH);
  return entries.map((entry) => {
    if (entry.sensitive) return entry;
    const hidden = names.has(entry.name) || TELLING.test(entry.name) || values.some((secret) => entry.value.includes(secret));
    return hidden ? { ...entry, sensitive: true } : entry;
  });
}
