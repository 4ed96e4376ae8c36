import type { EnvEntry, EnvFormat } from "@shipside/core";
import { checkText, unrepresentable } from "./unrepresentable.ts";

/**
 * A value as npm's dotenv reads it back. It takes text between like quotes as it is, but for `\r` and `\n` between double ones; it
 * knows no escaped quote, and a backslash before the last quote makes it read on. Every CR of the file becomes an LF.
 */
function quote(entry: EnvEntry): string {
  const { value } = entry;
  // What needs no quotes also looks the same to every other reader of such files.
  if (/^[\w./:@%+,=-]+$/.test(value)) return value;
  if (!value.includes("\r") && !value.endsWith("\\")) {
    for (const mark of ["'", "`"]) if (!value.includes(mark)) return mark + value + mark;
  }
  if (!value.includes('"') && !/\\[nr]|\\$/.test(value)) {
    return `"${value.replaceAll("\r", "\\r")}"`;
  }
  if (/^[^\s#'"`][^#\r\n]*$/.test(value) && !/\s$/.test(value)) return value;
  throw unrepresentable("env", entry, "dotenv has no way to write its mix of quotes, backslashes and line ends");
}

/** A `.env` file for npm's dotenv. */
export const env: EnvFormat = {
  name: "env",
  aliases: ["dotenv"],
  extensions: ["env"],
  render: (entries) =>
    entries
      .map((entry) => {
        if (!/^[\w.-]+$/.test(entry.name))
          throw unrepresentable("env", entry, "dotenv takes letters, digits, _, . and - in a name");
        if (entry.name === "__proto__") throw unrepresentable("env", entry, "dotenv loses this name");
        checkText("env", entry);
        return `${entry.name}=${quote(entry)}\n`;
      })
      .join(""),
  parse: async (text) => (await import("dotenv")).parse(text),
};
