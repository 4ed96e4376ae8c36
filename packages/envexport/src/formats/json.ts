import type { EnvFormat } from "@shipside/core";
import { parseObject } from "./parse-object.ts";

/** One object, a string a name. */
export const json: EnvFormat = {
  name: "json",
  extensions: ["json"],
  render: (entries) => `${JSON.stringify(Object.fromEntries(entries.map(({ name, value }) => [name, value])), null, 2)}\n`,
  async parse(text) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // The parser's message has a piece of the text in it.
      throw new Error("it is not JSON");
    }
    return parseObject(value);
  },
};
