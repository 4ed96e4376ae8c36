import type { Logger } from "@shipside/core";

/** Lines of JSON, as log collectors of clusters read them. */
export function jsonLogger(write: (line: string) => void): Logger {
  const at =
    (level: string) =>
    (message: string, fields?: Readonly<Record<string, unknown>>): void =>
      write(`${JSON.stringify({ time: new Date().toISOString(), level, message, ...fields })}\n`);
  return { debug() {}, info: at("info"), warn: at("warn"), error: at("error") };
}
