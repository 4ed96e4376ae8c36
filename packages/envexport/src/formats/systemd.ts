import type { EnvFormat } from "@shipside/core";
import { checkText, isShellName, unrepresentable } from "./unrepresentable.ts";

/**
 * For a unit's `EnvironmentFile=` (systemd.exec(5)). Between double quotes a backslash escapes `"`, `\`, `` ` `` and `$`, and nothing else.
 * The service manager drops assignments whose value has control characters other than tab and newline.
 */
export const systemd: EnvFormat = {
  name: "systemd",
  extensions: ["conf"],
  render: (entries) =>
    entries
      .map((entry) => {
        if (!isShellName(entry.name))
          throw unrepresentable("systemd", entry, "systemd takes letters, digits and _ in a name, which begins with no digit");
        checkText("systemd", entry);
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it is about
        if (/[\x00-\x08\x0b-\x1f\x7f]/.test(entry.value))
          throw unrepresentable("systemd", entry, "systemd drops values with control characters");
        return `${entry.name}="${entry.value.replace(/["\\`$]/g, "\\$&")}"\n`;
      })
      .join(""),
};
