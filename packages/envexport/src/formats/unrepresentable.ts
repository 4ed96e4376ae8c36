import type { EnvEntry } from "@shipside/core";
import { envError } from "../errors.ts";

/** The error for an entry that a format can't hold. Says the name and why, never the value. */
export function unrepresentable(format: string, { name }: EnvEntry, why: string): Error {
  return envError("ENV_UNREPRESENTABLE", `the format ${format} can't hold ${JSON.stringify(name)}: ${why}`, {
    hint: "leave it out (--except), or take a format that holds everything: json or yaml",
    details: { name, format },
  });
}

/** POSIX.1-2017 section 8.1: what every shell takes as a variable's name. */
export const isShellName = (name: string): boolean => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);

/** Throws where a text file can't hold the value as it is: UTF-8 has no lone surrogates, and no env a NUL. */
export function checkText(format: string, entry: EnvEntry): void {
  if (entry.value.includes("\0")) throw unrepresentable(format, entry, "no environment holds a NUL");
  if (!entry.value.isWellFormed()) throw unrepresentable(format, entry, "its value is not Unicode text");
}
