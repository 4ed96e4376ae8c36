import type { EnvEntry, EnvFormat } from "@shipside/core";
import { checkText, unrepresentable } from "./unrepresentable.ts";

/**
 * A value as Compose reads it back (the dotenv package of compose-go): between single quotes as it is, with `\'` for a quote; between
 * double quotes with escapes and `$` for variables. It pairs backslashes from the left, and one that is left over escapes the closing quote.
 */
function quote(value: string): string {
  if (/^[\w./:@%+,=-]+$/.test(value)) return value;
  if (!/['\r]/.test(value) && !value.endsWith("\\")) return `'${value}'`;
  const escaped = value.replace(/[\\"$\r]/g, (char) => (char === "\r" ? "\\r" : `\\${char}`));
  return `"${escaped}"`;
}

/** For `env_file` and `.env` of Docker Compose. */
export const compose: EnvFormat = {
  name: "compose",
  aliases: ["docker-compose"],
  render: (entries) => entries.map((entry) => line(entry)).join(""),
};

function line(entry: EnvEntry): string {
  if (!/^[A-Za-z0-9_.-]+$/.test(entry.name))
    throw unrepresentable("compose", entry, "Compose takes letters, digits, _, . and - in a name");
  checkText("compose", entry);
  return `${entry.name}=${quote(entry.value)}\n`;
}
