import { connectSessionHosts, type SessionInfo } from "@shipside/daemon/client";
import { COMMANDS, findCommand } from "./cli.ts";
import type { CommandSpec, OptionSpec } from "./command.ts";
import { COMMON_OPTIONS } from "./options.ts";

export interface Candidate {
  text: string;
  describe?: string;
}

/** What a shell asks of us: `file` leaves it to the shell's own file names. */
export interface Completion {
  candidates: Candidate[];
  file: boolean;
}

/** What only a running system knows. Each resolves to nothing where it can't be had. */
export interface Suggestions {
  contexts(kubeconfig: string | undefined): Promise<string[]>;
  namespaces(where: Where): Promise<string[]>;
  workloads(where: Where): Promise<string[]>;
  services(where: Where): Promise<string[]>;
  profiles(): Promise<string[]>;
  sessions(): Promise<Candidate[]>;
}

export interface Where {
  kubeconfig?: string;
  context?: string;
  namespace?: string;
}

/** `words`: what stands after `shipside`, the last one being completed (perhaps empty). */
export async function completionsFor(words: readonly string[], suggest: Suggestions): Promise<Completion> {
  const current = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const none: Completion = { candidates: [], file: false };
  if (before.includes("--")) return { candidates: [], file: true };
  const command = before[0] === undefined ? undefined : findCommand(before[0]);
  if (before.length === 0 || before[0] === "help") {
    if (current.startsWith("-")) return offer(COMMON_OPTIONS.map(optionCandidate), current);
    return offer(
      COMMANDS.map(({ name, summary }) => ({ text: name, describe: summary })),
      current,
    );
  }
  if (!command) return none;
  const options = [...COMMON_OPTIONS, ...(command.options ?? [])];
  const { positionals, where, pending } = readWords(before.slice(1), options);
  if (pending) return valuesOf(pending, where, current, suggest);
  if (current.startsWith("-")) return offer(options.map(optionCandidate), current);
  return wordsOf(command, positionals, where, current, suggest);
}

function readWords(
  words: readonly string[],
  options: readonly OptionSpec[],
): { positionals: string[]; where: Where; pending?: OptionSpec } {
  const positionals: string[] = [];
  const where: Where = {};
  let pending: OptionSpec | undefined;
  for (const word of words) {
    if (pending) {
      if (pending.name === "kubeconfig" || pending.name === "context" || pending.name === "namespace") where[pending.name] = word;
      pending = undefined;
    } else if (word.startsWith("-")) {
      const found = options.find(({ name, alias }) => word === `--${name}` || word === `-${alias}`);
      if (found && found.type !== "boolean") pending = found;
    } else positionals.push(word);
  }
  return { positionals, where, ...(pending && { pending }) };
}

async function valuesOf(option: OptionSpec, where: Where, current: string, suggest: Suggestions): Promise<Completion> {
  const { complete } = option;
  if (complete === "file") return { candidates: [], file: true };
  if (complete === "context") return offer(plain(await suggest.contexts(where.kubeconfig)), current);
  if (complete === "namespace") return offer(plain(await suggest.namespaces(where)), current);
  if (complete === "workload") return offer(plain(await suggest.workloads(where)), current);
  if (complete === "profile") return offer(plain(await suggest.profiles()), current);
  return offer(plain(complete ?? []), current);
}

async function wordsOf(
  command: CommandSpec,
  positionals: readonly string[],
  where: Where,
  current: string,
  suggest: Suggestions,
): Promise<Completion> {
  if (/^(ns|namespaces?)$/.test(positionals[0] ?? "")) return offer(plain(await suggest.namespaces(where)), current);
  if (positionals.length === 1 && command.verbs?.some(({ name, before }) => name === positionals[0] && before === "workload"))
    return offer(plain(await suggest.workloads(where)), current);
  const kind = command.complete?.[positionals.length];
  if (kind === undefined) return { candidates: [], file: false };
  if (kind === "file") return { candidates: [], file: true };
  if (kind === "service") return offer(plain(await suggest.services(where)), current);
  if (kind === "session") return offer(await suggest.sessions(), current);
  if (kind === "workload")
    return offer(plain([...(command.verbs ?? []).map(({ name }) => name), ...(await suggest.workloads(where))]), current);
  return offer(plain(kind), current);
}

const plain = (texts: readonly string[]): Candidate[] => texts.map((text) => ({ text }));

const optionCandidate = ({ name, describe }: OptionSpec): Candidate => ({ text: `--${name}`, describe });

/** Where a candidate becomes part of the command line as it is: nothing that a shell would take for more than a word. */
const WORD = /^(?:--[a-z-]+|[\w.][\w./:@=+%,-]*)$/;

const offer = (candidates: readonly Candidate[], current: string): Completion => ({
  candidates: candidates.filter(({ text }) => text.startsWith(current) && WORD.test(text)),
  file: false,
});

/** What the shells' scripts call: a line for each candidate, its description after a tab; the single line `:file` for file names. */
export async function complete(words: readonly string[]): Promise<number> {
  const { candidates, file } = await completionsFor(words, suggestions);
  const lines = file ? [":file"] : candidates.map(({ text, describe }) => (describe ? `${text}\t${describe}` : text));
  if (lines.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
  return 0;
}

/** A shell waits while we ask: what can't be had in time is left out, and nothing is ever said. */
const suggestions: Suggestions = {
  contexts: async (kubeconfig) => quietly(async () => (await import("@shipside/daemon")).suggestContexts(kubeconfig)),
  namespaces: async (where) => quietly(async () => (await import("@shipside/daemon")).suggestNamespaces(where)),
  workloads: async (where) => quietly(async () => (await import("@shipside/daemon")).suggestWorkloads(where)),
  services: async (where) => quietly(async () => (await import("@shipside/daemon")).suggestServices(where)),
  profiles: async () => quietly(async () => (await import("@shipside/daemon/profile")).savedProfiles()),
  sessions: () =>
    quietly(async () => {
      const { clients } = await connectSessionHosts();
      const found: Candidate[] = [];
      for (const client of clients) {
        const sessions = (await client.call("session.list")) as SessionInfo[];
        found.push(
          ...sessions.map(({ id, name = id, workload, namespace }) => ({
            text: name,
            describe: workload ?? `namespace ${namespace}`,
          })),
        );
        await client.close();
      }
      return found;
    }),
};

async function quietly<T>(ask: () => Promise<T[]>): Promise<T[]> {
  return ask().catch(() => []);
}
