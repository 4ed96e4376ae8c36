import { resolve } from "node:path";
import { cliError } from "./errors.ts";

/** Absolute: a daemon stands in another folder. */
export function directory(given: string): string {
  if (given !== "") return resolve(given);
  throw cliError("USAGE", "the directory for the volumes has no name", { hint: "such as ./core-root" });
}
