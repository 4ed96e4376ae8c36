import type { Logger } from "../logger.ts";

/** Where a value comes from. */
export type EnvOrigin =
  | { from: "literal"; container: string }
  | { from: "configMap" | "secret"; name: string; key: string }
  | { from: "field"; path: string; pod?: string }
  | { from: "resource"; resource: string; container: string }
  | { from: "file"; volume: string; path: string; key: string }
  | { from: "service"; namespace: string; name: string }
  | { from: "image"; pod: string }
  | { from: "plugin"; plugin: string }
  /** This machine: a file's path, `shell`, or the option that set it. */
  | { from: "local"; where: string };

export interface EnvEntry {
  name: string;
  value: string;
  origin: EnvOrigin;
  /** Masked wherever it is shown to a person; written as it is where the user asked for values. */
  sensitive?: boolean;
}

export interface EnvRequest {
  namespace: string;
  /** `kind/name` as resolved, with the kind in the singular lower case form: `deployment/core`. */
  workload: string;
  container?: string;
  signal: AbortSignal;
}

export interface EnvSource {
  readonly name: string;
  /** Entries in order; a later one of the same name wins. */
  collect(request: EnvRequest, components: { logger: Logger }): Promise<EnvEntry[]>;
}

/** A text form of an environment that one reader reads. */
export interface EnvFormat {
  /** As given to `-m`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  /** Used to pick the format from a file's name, without the dot. */
  readonly extensions?: readonly string[];
  /** Throws code `ENV_UNREPRESENTABLE` (details: `name`) for a value that the reader would not give back byte for byte. */
  render(entries: readonly EnvEntry[]): string;
  /** What the reader would make of such a text. Rejects with `ENV_FILE_UNREADABLE` where that can't be told without running it. */
  parse?(text: string): Promise<Record<string, string>>;
}
