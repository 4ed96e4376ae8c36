import { createTurns, type HostsEntry, type HostsOwner, type HostsPlan } from "@shipside/core";
import { rootlessError } from "./errors.ts";

export interface NamespaceHosts extends HostsOwner {
  /** The host's own names, between the cluster's and the machine's. */
  setOwn(names: readonly string[]): Promise<void>;
}

/**
 * The hosts file that programs in the namespaces see: the cluster's names, and then what the machine's file had when they were made. `write`
 * replaces its text.
 */
export function namespaceHosts(original: string, write: (text: string) => Promise<unknown>): NamespaceHosts {
  let current: readonly string[] = [];
  let own = "";
  const render = (lines: readonly string[]): string => `${lines.map((line) => `${line}\n`).join("")}${own}${original}`;
  const turns = createTurns();
  const plan = (entries: readonly HostsEntry[]): HostsPlan => {
    const next = linesOf(entries);
    const added = next.filter((line) => !current.includes(line));
    const removed = current.filter((line) => !next.includes(line));
    // The first line that has a name is what resolvers take, and ours come first.
    return { added, removed, conflicts: [], unchanged: added.length + removed.length === 0 };
  };
  const apply = (entries: readonly HostsEntry[]): Promise<HostsPlan> => {
    if (turns.ended) throw rootlessError("ROOTLESS_CLOSED", "the namespaces' hosts file was written after close()");
    return turns.run(async () => {
      const planned = plan(entries);
      if (planned.unchanged) return planned;
      const lines = linesOf(entries);
      await write(render(lines));
      current = lines;
      return planned;
    });
  };
  const hosts: NamespaceHosts = {
    setOwn: (names) =>
      turns.run(async () => {
        own = `127.0.0.1 ${names.join(" ")}\n`;
        await write(render(current));
      }),
    plan: async (entries) => plan(entries),
    apply: async (entries) => apply(entries),
    restore: async () => void (await apply([])),
    // It goes with the namespaces.
    close: () => turns.end(async () => {}),
    [Symbol.asyncDispose]: () => hosts.close(),
  };
  return hosts;
}

const linesOf = (entries: readonly HostsEntry[]): string[] => entries.map(({ address, names }) => `${address} ${names.join(" ")}`);
