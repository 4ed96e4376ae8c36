import type { OptionSpec } from "../command.ts";

/** What the session can be called by, and how it is asked for again. */
export const NAMED: readonly OptionSpec[] = [
  { name: "name", type: "string", value: "NAME", describe: "call the session so: `session close NAME`" },
  { name: "save-profile", alias: "s", type: "string", value: "NAME", describe: "save these options for `up --profile NAME`" },
];

export const FOREGROUND: OptionSpec = {
  name: "foreground",
  type: "boolean",
  describe: "in this process, even where a daemon runs",
};
