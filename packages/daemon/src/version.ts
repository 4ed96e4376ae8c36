import { readFileSync } from "node:fs";

/** Put there by the build, in programs that may be copied away from their package. */
declare const SHIPSIDE_VERSION: string | undefined;

/** Of the installed package: the manifest stands one folder above `src` and `dist` alike. */
export const version: string =
  typeof SHIPSIDE_VERSION === "string"
    ? SHIPSIDE_VERSION
    : (JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }).version;
