import { basename } from "node:path";
import { type EnvEntry, type EnvFormat, hasCode } from "@shipside/core";
import { envError } from "../errors.ts";
import { compose } from "./compose.ts";
import { direnv } from "./direnv.ts";
import { docker } from "./docker.ts";
import { env } from "./env.ts";
import { fish } from "./fish.ts";
import { json } from "./json.ts";
import { k8s } from "./k8s.ts";
import { powershell } from "./powershell.ts";
import { sh } from "./sh.ts";
import { systemd } from "./systemd.ts";
import { yaml } from "./yaml.ts";

/** All formats of ours, in the order in which they are listed. */
export const FORMATS: readonly EnvFormat[] = [sh, env, json, yaml, docker, compose, fish, powershell, direnv, systemd, k8s];

/** The format of a name or alias. Formats of plugins come first. Throws `ENV_FORMAT_UNKNOWN`. */
export function formatNamed(name: string, plugins: readonly EnvFormat[] = []): EnvFormat {
  const all = [...plugins, ...FORMATS];
  const found = all.find((format) => format.name === name || format.aliases?.includes(name));
  if (found) return found;
  throw envError("ENV_FORMAT_UNKNOWN", `there is no env format ${JSON.stringify(name)}`, {
    hint: `there is ${all.map((format) => format.name).join(", ")}`,
    details: { formats: all.map((format) => format.name) },
  });
}

/** The format that a file's name asks for: `.env` and `.env.local` are env files too. Default `env`. */
export function formatForFile(path: string, plugins: readonly EnvFormat[] = []): EnvFormat {
  const name = basename(path).toLowerCase();
  const extension = name.slice(name.lastIndexOf(".") + 1);
  return [...plugins, ...FORMATS].find((format) => format.extensions?.includes(extension)) ?? env;
}

export interface Rendered {
  text: string;
  /** Names that were left out because the format can't hold them. */
  skipped: string[];
}

/** Renders, leaving out what the format can't hold rather than failing. */
export function renderWhatFits(entries: readonly EnvEntry[], format: EnvFormat): Rendered {
  const skipped: string[] = [];
  const fits = entries.filter((entry) => {
    try {
      format.render([entry]);
      return true;
    } catch (error) {
      if (!hasCode(error, "ENV_UNREPRESENTABLE")) throw error;
      skipped.push(entry.name);
      return false;
    }
  });
  return { text: format.render(fits), skipped };
}
