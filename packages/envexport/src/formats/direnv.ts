import type { EnvFormat } from "@shipside/core";
import { parseSh } from "./parse-sh.ts";
import { exportLine } from "./sh.ts";
import { unrepresentable } from "./unrepresentable.ts";

/** Variables that direnv keeps out of what it exports, as they are the shell's or its own. */
const IGNORED = /^(DIRENV_.*|BASH_FUNC_.*|__fish.*|COMP_WORDBREAKS|OLDPWD|PS1|PWD|SHELL|SHELLOPTS|SHLVL|_)$/;

/** An `.envrc`, which direnv has bash read. */
export const direnv: EnvFormat = {
  name: "direnv",
  aliases: ["envrc"],
  extensions: ["envrc"],
  render: (entries) =>
    entries
      .map((entry) => {
        if (IGNORED.test(entry.name)) throw unrepresentable("direnv", entry, "direnv never exports this variable");
        return exportLine("direnv", entry);
      })
      .join(""),
  parse: async (text) => parseSh(text),
};
