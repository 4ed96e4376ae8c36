import type { EnvFormat } from "@shipside/core";

/** One object, a string a name. */
export const json: EnvFormat = {
  name: "json",
  extensions: ["json"],
  render: (entries) => `${JSON.stringify(Object.fromEntries(entries.map(({ name, value }) => [name, value])), null, 2)}\n`,
};
