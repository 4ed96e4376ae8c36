import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { codeOf } from "@shipside/core";
import { daemonError } from "../errors.ts";
import type { SessionOptions } from "../session-info.ts";
import { PROFILE_KINDS, type ProfileEntry, type ProfileKind } from "./kinds.ts";
import { type ProfileIssue, type ReadProfile, readProfile } from "./read.ts";
import { profileShape } from "./shape.ts";

/** An entry of a file, and the session that it is. */
export interface PlannedEntry {
  /** `teleports.core` where it has a name, else `teleports[0]`. */
  readonly entry: string;
  /** The key of its list: `teleports`, … */
  readonly list: string;
  /** What it is about, in a few words. */
  readonly title: string;
  readonly options: SessionOptions;
  /** Where it stands. */
  readonly line: number;
}

export interface ProfilePlan {
  /** Absolute. */
  readonly file: string;
  readonly entries: readonly PlannedEntry[];
}

export interface PlanOptions {
  /** For `${NAME}`. Default: this process's. */
  env?: NodeJS.ProcessEnv;
  /** Where neither an entry nor the file says it. */
  defaults?: Pick<SessionOptions, "kubeconfig" | "context" | "namespace">;
  /** Instead of what the file says at its top; what an entry says itself stays. */
  overrides?: Pick<SessionOptions, "kubeconfig" | "context" | "namespace">;
}

/** Reads `shipside.yaml` (absolute path). Throws `PROFILE_MISSING`, `PROFILE_INVALID` (details: `issues`, each with line and column). */
export async function planFile(file: string, options: PlanOptions = {}): Promise<ProfilePlan> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    const missing = codeOf(cause) === "ENOENT";
    throw daemonError("PROFILE_MISSING", `${file} ${missing ? "does not exist" : `can't be read (${codeOf(cause)})`}`, {
      hint: "`-f FILE` names another one, `--profile NAME` one that was saved",
      cause,
    });
  });
  return planText(text, file, options);
}

/** The same of a text; `file` is what relative paths are relative to, and what mistakes are told of. */
export function planText(text: string, file: string, options: PlanOptions = {}): ProfilePlan {
  const { env = process.env, defaults = {}, overrides = {} } = options;
  const read = readProfile(text, profileShape(), file, env);
  if (read.issues.length > 0) throw invalid(file, read.issues);
  const { kubeconfig, context, namespace, services } = read.value as SessionOptions;
  const top = { ...defaults, ...present({ kubeconfig, context, namespace }), ...overrides };
  const entries = PROFILE_KINDS.flatMap((kind) =>
    ((read.value[kind.list] ?? []) as ProfileEntry[]).map((entry, at) =>
      planEntry(kind, { ...(services && kind.shape.fields["services"] && { services }), ...entry }, at, top, file, read),
    ),
  );
  const issues = doubles(entries, read);
  if (issues.length > 0) throw invalid(file, issues);
  return { file, entries };
}

function planEntry(
  kind: ProfileKind,
  entry: ProfileEntry,
  at: number,
  top: SessionOptions,
  file: string,
  read: ReadProfile,
): PlannedEntry {
  const name = entry["name"] === undefined ? `${kind.list}[${at}]` : `${kind.list}.${entry["name"]}`;
  const { kubeconfig, context, namespace } = entry as SessionOptions;
  const options = kind.session(entry, { ...top, ...present({ kubeconfig, context, namespace }) });
  return {
    entry: name,
    list: kind.list,
    title: kind.title({ ...top, ...entry } as ProfileEntry),
    options: { ...options, origin: { file, entry: name, digest: digestOf(options) } },
    line: read.at(`${kind.list}[${at}]`).line,
  };
}

/** Another digest, another wish. */
const digestOf = (options: SessionOptions): string =>
  createHash("sha256")
    .update(JSON.stringify(sorted(options)))
    .digest("hex")
    .slice(0, 16);

/** The order of keys says nothing. */
const sorted = (value: unknown): unknown =>
  typeof value !== "object" || value === null || Array.isArray(value)
    ? value
    : Object.fromEntries(
        Object.entries(value)
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, each]) => [key, sorted(each)]),
      );

/** Two of one name, or two that write one file. */
function doubles(entries: readonly PlannedEntry[], read: ReadProfile): ProfileIssue[] {
  const issues: ProfileIssue[] = [];
  const [names, files] = [new Map<string, string>(), new Map<string, string>()];
  const counts = new Map<string, number>();
  for (const { list, options } of entries) {
    const at = counts.get(list) ?? 0;
    counts.set(list, at + 1);
    const path = `${list}[${at}]`;
    const once = (seen: Map<string, string>, value: string | undefined, key: string, what: string): void => {
      if (value === undefined) return;
      const first = seen.get(value);
      if (first !== undefined)
        issues.push({ ...read.at(`${path}.${key}`), path, message: `${path}: ${first} ${what} ${value} already` });
      else seen.set(value, path);
    };
    once(names, options.name, "name", "has the name");
    once(files, options.envFile?.path, list === "envFiles" ? "file" : "envFile", "writes");
  }
  return issues;
}

function invalid(file: string, issues: readonly ProfileIssue[]): Error {
  const lines = issues.map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`);
  const message = lines.length === 1 ? lines[0]! : `${lines.length} mistakes in ${file}:\n  ${lines.join("\n  ")}`;
  return daemonError("PROFILE_INVALID", message, {
    hint: "docs/shipside-yaml.md has every key; `# yaml-language-server: $schema=…` as the first line lets an editor check them",
    details: { file, issues },
  });
}

const present = <T extends object>(value: T): Partial<T> =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Partial<T>;
