import type { EnvFormat } from "@shipside/core";

/**
 * A string that YAML 1.1 and 1.2 read alike: JSON's form, with those characters escaped too that YAML doesn't call printable or that
 * 1.1 takes for a line end.
 */
export const yamlString = (text: string): string =>
  JSON.stringify(text).replace(
    /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

/** What is a name to a person but a boolean or null to YAML 1.1. */
const WORD = /^(y|yes|n|no|true|false|on|off|null)$/i;

export const yamlKey = (name: string): string =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !WORD.test(name) ? name : yamlString(name);

/** One mapping; every value quoted, so that none is read as a number, date or boolean. */
export const yaml: EnvFormat = {
  name: "yaml",
  aliases: ["yml"],
  extensions: ["yaml", "yml"],
  render: (entries) => entries.map(({ name, value }) => `${yamlKey(name)}: ${yamlString(value)}\n`).join("") || "{}\n",
};
