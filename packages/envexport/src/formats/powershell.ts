import type { EnvFormat } from "@shipside/core";
import { checkText, unrepresentable } from "./unrepresentable.ts";

/**
 * `${env:NAME} = 'value'`. PowerShell takes the typographic quotes for `'` as well, so each is doubled. Text beyond ASCII begins with a
 * byte-order mark, without which Windows PowerShell 5 reads it in the system's code page.
 */
export const powershell: EnvFormat = {
  name: "powershell",
  aliases: ["pwsh", "ps1"],
  extensions: ["ps1"],
  render(entries) {
    const lines = entries.map((entry) => {
      const { name, value } = entry;
      if (!/^[\w.()-]+$/.test(name))
        throw unrepresentable("powershell", entry, "the name has characters that PowerShell would have to have escaped");
      if (value === "")
        throw unrepresentable("powershell", entry, "PowerShell before 7.5 removes a variable that is set to nothing");
      checkText("powershell", entry);
      return `\${env:${name}} = '${value.replace(/['\u2018-\u201b]/g, "$&$&")}'\n`;
    });
    const text = lines.join("");
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
    return /^[\x00-\x7f]*$/.test(text) ? text : `\ufeff${text}`;
  },
};
