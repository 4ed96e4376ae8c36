import type { EnvEntry, EnvFormat } from "@shipside/core";
import { parseSh } from "./parse-sh.ts";
import { checkText, isShellName, unrepresentable } from "./unrepresentable.ts";

/** What bash (and dash, for the last) sets itself, keeps from being set, or gives another value when it is read. */
const SHELL_OWN = new Set(
  (
    "BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_CMDS BASH_COMMAND BASH_LINENO BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO " +
    "DIRSTACK EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME GROUPS HISTCMD LINENO PPID RANDOM SECONDS SHELLOPTS SHLVL SRANDOM UID _ OPTIND"
  ).split(" "),
);

/** `export NAME='value'`. In single quotes a POSIX shell changes nothing; a quote itself is put in between. */
export function exportLine(format: string, entry: EnvEntry): string {
  if (!isShellName(entry.name))
    throw unrepresentable(format, entry, "a shell's variable is letters, digits and _, and begins with no digit");
  if (SHELL_OWN.has(entry.name)) throw unrepresentable(format, entry, "the shell keeps this variable for itself");
  checkText(format, entry);
  return `export ${entry.name}='${entry.value.replaceAll("'", String.raw`'\''`)}'\n`;
}

/** For `.` or `source` in any POSIX shell. */
export const sh: EnvFormat = {
  name: "sh",
  aliases: ["bash", "dash", "zsh", "shell"],
  extensions: ["sh", "bash", "zsh"],
  render: (entries) => entries.map((entry) => exportLine("sh", entry)).join(""),
  parse: async (text) => parseSh(text),
};
