import { readFile } from "node:fs/promises";
import { codeOf, type EnvEntry, type EnvFormat } from "@shipside/core";
import { envError } from "./errors.ts";
import { FORMATS, formatForFile, formatNamed } from "./formats/registry.ts";

export interface ReadEnvFileOptions {
  /** A format, or the name of one. Default: by the file's name. */
  format?: EnvFormat | string;
  plugins?: readonly EnvFormat[];
}

/**
 * An env file of this machine, to compare with. Rejects with `ENV_FILE_UNREADABLE` where it isn't there, isn't of its format, or would
 * have to be run to be read; with `ENV_FORMAT_UNKNOWN`.
 */
export async function readEnvFile(path: string, { format: wanted, plugins = [] }: ReadEnvFileOptions = {}): Promise<EnvEntry[]> {
  const format = typeof wanted === "string" ? formatNamed(wanted, plugins) : (wanted ?? formatForFile(path, plugins));
  const unreadable = (why: string, hint: string, cause?: unknown): Error =>
    envError("ENV_FILE_UNREADABLE", `could not read the env file ${path}: ${why}`, { hint, ...(cause !== undefined && { cause }) });
  if (!format.parse) {
    const can = FORMATS.filter((each) => each.parse).map((each) => each.name);
    throw unreadable(`the format ${format.name} is only written`, `these can be read: ${can.join(", ")}`);
  }
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw unreadable(
      codeOf(cause) === "ENOENT" ? "there is none" : "the system refuses it",
      "check its path and permissions",
      cause,
    );
  }
  let values: Record<string, string>;
  try {
    values = await format.parse(text.replace(/^\ufeff/, ""));
  } catch (cause) {
    throw unreadable((cause as Error).message, `is it of the format ${format.name}? Another can be named (-m)`, cause);
  }
  return localEntries(values, path);
}

/** The environment of a process here: `shellEntries(process.env)`. */
export const shellEntries = (env: Readonly<Record<string, string | undefined>>): EnvEntry[] => localEntries(env, "shell");

const localEntries = (values: Readonly<Record<string, string | undefined>>, where: string): EnvEntry[] =>
  Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name, value, origin: { from: "local", where } }],
  );
