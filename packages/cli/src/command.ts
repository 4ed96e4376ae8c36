import type { Interrupt } from "./interrupt.ts";
import type { ClusterRights } from "./rights.ts";
import type { Terminal } from "./terminal.ts";

export interface OptionSpec {
  /** Long form without dashes. */
  name: string;
  /** One letter. */
  alias?: string;
  /** `list`: repeatable, or with commas. `texts`: repeatable, each as it is. */
  type: "boolean" | "string" | "list" | "texts";
  /** What stands for the value in help: `NAME`, `FILE`. */
  value?: string;
  describe: string;
  /** What a shell can complete the value with. */
  complete?: "file" | "context" | "namespace" | "workload" | "profile" | readonly string[];
}

/** A row of the table of commands: all that help, parsing and completion need, without loading the command. */
export interface CommandSpec {
  name: string;
  aliases?: readonly string[];
  summary: string;
  /** What follows the name, one line for each form. */
  usage: readonly string[];
  /** How many words it takes. */
  words: { min: number; max: number };
  /** First words that are no workload, and what stands after them. */
  verbs?: ReadonlyArray<{ name: string; before: "namespace" | "workload" }>;
  /** What the words can be completed with, the first word first. */
  complete?: ReadonlyArray<"workload" | "service" | "session" | "file" | readonly string[]>;
  options?: readonly OptionSpec[];
  /** Whether `-- command…` may follow. */
  takesCommand?: boolean;
  examples?: ReadonlyArray<readonly [command: string, does: string]>;
  load(): Promise<CommandModule>;
}

export interface Invocation {
  words: readonly string[];
  /** Long names as on the command line; only what was given. */
  options: Readonly<Record<string, boolean | string | readonly string[]>>;
  /** After `--`; undefined where there was none. */
  command?: readonly string[];
}

export interface CommandModule {
  /** Resolves to the exit code. Rejects with a coded error. */
  run(invocation: Invocation, terminal: Terminal, interrupt: Interrupt): Promise<number>;
  /** What this command line needs of clusters, for `--print-rbac`; asks none. Absent: nothing. */
  rights?(invocation: Invocation): Promise<ClusterRights[]>;
}

/** Typed reading of an invocation's options. */
export const flag = (invocation: Invocation, name: string): boolean => invocation.options[name] === true;

export function text(invocation: Invocation, name: string): string | undefined {
  const value = invocation.options[name];
  return typeof value === "string" ? value : undefined;
}

export function list(invocation: Invocation, name: string): readonly string[] {
  const value = invocation.options[name];
  return Array.isArray(value) ? value : [];
}
