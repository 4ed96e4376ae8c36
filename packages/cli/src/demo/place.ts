import type { Closer, HostsEntry } from "@shipside/core";
import { makeDirectory, privateNames, type SessionInfo } from "@shipside/daemon/client";
import type { Rootless } from "@shipside/daemon/rootless";
import type { CommandSession } from "../open-session.ts";
import type { Terminal } from "../terminal.ts";
import type { Witness } from "./proof.ts";

/** By what the demo's own programs have the cluster's names. */
export type NamesBy = "hosts" | "rootless" | "namespace" | "preload";

/** Where the demo's own programs run. */
export interface Place {
  readonly how: NamesBy;
  /** Turns a command into one that runs there. */
  wrap(command: readonly string[], env: NodeJS.ProcessEnv): { command: readonly string[]; env: NodeJS.ProcessEnv };
  /** On which port of this machine's 127.0.0.1 what a program there listens on is, as soon as it does. */
  portHere(port: number, signal: AbortSignal): Promise<number>;
}

export interface PlaceContext {
  terminal: Terminal;
  closer: Closer;
  look: Witness;
}

/** In a session's namespaces. Its names are followed there by `follow`. */
export async function placeInNamespaces(
  namespaces: Rootless,
  session: CommandSession,
  { terminal }: PlaceContext,
): Promise<Place & { follow(info: SessionInfo, entries: readonly HostsEntry[]): void }> {
  const { err } = terminal;
  const ports = new Map<number, PromiseWithResolvers<number>>();
  const opened = (port: number): PromiseWithResolvers<number> => {
    const known = ports.get(port) ?? Promise.withResolvers<number>();
    ports.set(port, known);
    return known;
  };
  await namespaces.join({
    ...{ info: session.info(), entries: session.entries },
    opened({ port, hostPort }) {
      terminal.done(`it listens on port ${port} there, which is ${err("bold", `127.0.0.1:${hostPort}`)} here`);
      opened(port).resolve(hostPort);
    },
  });
  return {
    how: "rootless",
    wrap: (command, env) => ({ command: namespaces.enter(command), env }),
    portHere: (port, signal) => Promise.race([opened(port).promise, aborted(signal)]),
    follow: (info, entries) => namespaces.follow(info, entries),
  };
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));

/** On this machine: with its hosts file where that has the names, else with names that only the demo's programs see. */
export async function placeHere(session: CommandSession, taken: boolean, { terminal, closer, look }: PlaceContext): Promise<Place> {
  const portHere = async (port: number): Promise<number> => port;
  const { where, reason } = session.info().names;
  if (where === "hosts" && !taken) return { how: "hosts", wrap: (command, env) => ({ command, env }), portHere };
  const dir = await makeDirectory(session.journal, "demo");
  closer.defer(dir.remove);
  look.expectGone({ files: [dir.path] });
  const names = await privateNames(dir.path);
  await names.update(session.entries);
  const why = taken ? "other lines of the hosts file have these names" : (reason?.message ?? "no hosts file");
  const how = names.how === "namespace" ? "a hosts file of their own" : "a module that answers Node's look-ups";
  terminal.warn(`${why}: the processes below get the names by ${how}`);
  return { how: names.how, wrap: names.wrap, portHere };
}
