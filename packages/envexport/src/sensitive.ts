import type { EnvEntry } from "@shipside/core";

/** Words that a name has where its value is nobody's business. */
const TELLING =
  /pass(word|wd|phrase)?|secret|token|credential|private|api_?key|access_?key|_key$|^key$|auth|cookie|salt|signature/i;
/** A shorter secret is a part of everything. */
const MIN_LENGTH = 4;

/**
 * Marks what is to be masked among entries of which nobody says what they are (of the image, the shell, a file here): what has the value
 * or the name of something `known` to be sensitive, or a name that tells it. The others stay as they are.
 */
export function markSensitive(entries: readonly EnvEntry[], known: readonly EnvEntry[] = []): EnvEntry[] {
  const secrets = known.filter(({ sensitive }) => sensitive);
  const names = new Set(secrets.map(({ name }) => name));
  const values = [...new Set(secrets.map(({ value }) => value))].filter(({ length }) => length >= MIN_LENGTH);
  return entries.map((entry) => {
    const { name, value, origin, sensitive } = entry;
    if (sensitive || (origin.from !== "image" && origin.from !== "local")) return entry;
    const hidden = names.has(name) || TELLING.test(name) || values.some((secret) => value.includes(secret));
    return hidden ? { ...entry, sensitive: true } : entry;
  });
}
