import type { EnvFormat } from "@shipside/core";
import { parseObject } from "./parse-object.ts";

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
  parse: async (text) => parseObject((await yamlDocuments(text))[0] ?? {}),
};

/** Throws with the line's number where it is no YAML; the parser's own message has a piece of the text in it. */
export async function yamlDocuments(text: string): Promise<unknown[]> {
  const { LineCounter, parseAllDocuments } = await import("yaml");
  const lineCounter = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter });
  if (!Array.isArray(documents)) return [];
  return documents.map((document) => {
    const [error] = document.errors;
    if (error) throw new Error(`line ${lineCounter.linePos(error.pos[0]).line}: it is not YAML (${error.code})`);
    return document.toJS() as unknown;
  });
}
