import type { EnvFormat } from "@shipside/core";
import { checkText, unrepresentable } from "./unrepresentable.ts";

/** What fish sets itself or keeps from being set. */
const FISH_OWN = new Set(
  "_ PWD SHLVL fish_kill_signal fish_killring fish_pid history hostname pipestatus status status_generation umask version".split(
    " ",
  ),
);

/** fish keeps bytes that aren't text in these private characters, and so can't tell them from themselves. */
const FISH_PRIVATE = /[\ufdd0-\ufdef\uf600-\uf73f]/;

/** `set -gx NAME 'value'`. Between single quotes fish knows only `\\` and `\'`. */
export const fish: EnvFormat = {
  name: "fish",
  extensions: ["fish"],
  render: (entries) =>
    entries
      .map((entry) => {
        const { name, value } = entry;
        if (!/^[A-Za-z0-9_]+$/.test(name)) throw unrepresentable("fish", entry, "fish takes letters, digits and _ in a name");
        if (FISH_OWN.has(name)) throw unrepresentable("fish", entry, "fish keeps this variable for itself");
        checkText("fish", entry);
        if (FISH_PRIVATE.test(value)) throw unrepresentable("fish", entry, "its value has characters that fish uses itself");
        return `set -gx ${name} '${value.replace(/[\\']/g, "\\$&")}'\n`;
      })
      .join(""),
};
