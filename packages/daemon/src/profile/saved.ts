import { mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { stringify } from "yaml";
import { daemonError } from "../errors.ts";
import { isSessionName, SESSION_NAME_HINT } from "../session-find.ts";
import type { SessionOptions } from "../session-info.ts";
import { PROFILE_SCHEMA_URL } from "./schema.ts";

/** Where `shipside up` looks, in this order. */
export const PROFILE_FILES = ["shipside.yaml", "shipside.yml"] as const;

/** `$XDG_CONFIG_HOME/shipside/profiles`, else `~/.config/shipside/profiles`. */
export function profilesDir(env: NodeJS.ProcessEnv = process.env): string {
  if (process.platform === "win32") return join(env["APPDATA"] || join(homedir(), "AppData", "Roaming"), "shipside", "profiles");
  const config = env["XDG_CONFIG_HOME"];
  return join(config?.startsWith("/") ? config : join(homedir(), ".config"), "shipside", "profiles");
}

/** A saved profile's file. Throws `PROFILE_NAME`. */
export function profilePath(name: string, dir: string = profilesDir()): string {
  if (isSessionName(name)) return join(dir, `${name}.yaml`);
  throw daemonError("PROFILE_NAME", `a profile can't have the name ${JSON.stringify(name)}`, { hint: SESSION_NAME_HINT });
}

/** Their names; none where nothing was saved. */
export async function savedProfiles(dir: string = profilesDir()): Promise<string[]> {
  const files = await readdir(dir).catch(() => []);
  return files.flatMap((file) => (file.endsWith(".yaml") && isSessionName(file.slice(0, -5)) ? [file.slice(0, -5)] : [])).sort();
}

export interface SavedProfile {
  path: string;
  /** Variables of `env.set` that are left out, because their names tell of a secret. */
  leftOut: string[];
}

/** The same words as where an env of unknown origin is masked. */
const TELLING =
  /pass(word|wd|phrase)?|secret|token|credential|private|api_?key|access_?key|_key$|^key$|auth|cookie|salt|signature/i;

/**
 * Saves the options of sessions as a file of an entry for each, for `shipside up --profile NAME`; replaces one of that name. Values whose
 * names tell of a secret are left out. Throws `PROFILE_NAME`, `PROFILE_UNWRITABLE`.
 */
export async function saveProfile(
  name: string,
  sessions: SessionOptions | readonly SessionOptions[],
  dir: string = profilesDir(),
): Promise<SavedProfile> {
  const path = profilePath(name, dir);
  const { text, leftOut } = renderProfile(sessions);
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const fresh = `${path}.${process.pid}.new`;
    await writeFile(fresh, text, { mode: 0o600 });
    await rename(fresh, path);
  } catch (cause) {
    throw daemonError("PROFILE_UNWRITABLE", `could not save the profile ${path}: ${(cause as Error).message}`, {
      hint: "make the folder writable, or set XDG_CONFIG_HOME to one that is",
      cause,
    });
  }
  return { path, leftOut };
}

/** The file's text. */
export function renderProfile(sessions: SessionOptions | readonly SessionOptions[]): { text: string; leftOut: string[] } {
  const rendered = [sessions].flat().map(renderEntry);
  const document = Object.fromEntries(
    [...Map.groupBy(rendered, ({ list }) => list)].map(([list, some]) => [list, some.map(({ entry }) => entry)]),
  );
  return {
    text: `# yaml-language-server: $schema=${PROFILE_SCHEMA_URL}\n${stringify(document, { lineWidth: 0 })}`,
    leftOut: rendered.flatMap(({ leftOut }) => leftOut),
  };
}

function renderEntry(options: SessionOptions): { list: string; entry: object; leftOut: string[] } {
  const { name, kubeconfig, context, namespace, env } = options;
  const set = Object.entries(env?.set ?? {});
  const leftOut = set.flatMap(([variable]) => (TELLING.test(variable) ? [variable] : []));
  const { follow: _follow, set: _set, ...wanted } = env ?? {};
  const kept = {
    ...wanted,
    ...(set.length > leftOut.length && { set: Object.fromEntries(set.filter(([v]) => !leftOut.includes(v))) }),
  };
  const [list, own] = ownPart(options);
  const entry = { name, kubeconfig, context, namespace, ...own, env: Object.keys(kept).length > 0 ? kept : undefined };
  return { list, entry: JSON.parse(literal(JSON.stringify(entry))), leftOut };
}

/** The list that a session of its kind stands in, and what only that kind says. */
function ownPart(options: SessionOptions): [list: string, own: object] {
  const { kind = "teleport", workload, container, envFile, also, services, via, remoteHosts, relayImage } = options;
  const { dir, ...mounted } = options.mount ?? {};
  const { capture } = options;
  if (kind === "expose") return ["exposes", { ...options.expose, capture }];
  if (kind === "intercept") return ["intercepts", { ...options.intercept, capture }];
  if (kind === "env") return ["envFiles", { workload, container, file: envFile?.path, format: envFile?.format }];
  if (kind === "mount") return ["mounts", { workload, container, path: dir, ...mounted, relayImage }];
  return [
    "teleports",
    {
      workload,
      container,
      also: also?.length ? also : undefined,
      services: services?.length ? services : undefined,
      envFile: envFile && (envFile.format === undefined ? envFile.path : envFile),
      mount: dir === undefined ? undefined : { path: dir, ...mounted },
      ...{ via, remoteHosts, relayImage, capture },
    },
  ];
}

/** A value that looks like a variable of the file was none on the command line. */
const literal = (json: string): string => json.replaceAll("${", () => "$${");
