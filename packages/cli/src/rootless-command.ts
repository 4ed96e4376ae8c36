import { errorToJson } from "@shipside/core";
import type { Rootless } from "@shipside/daemon/rootless";
import { flag, type Invocation, list } from "./command.ts";
import { cliError } from "./errors.ts";
import type { CommandSession } from "./open-session.ts";
import type { EventRelay } from "./session-command.ts";
import { explain, type Terminal } from "./terminal.ts";

/** Where `--rootless` runs its command. */
export type RootlessCommand = Rootless;

/** Makes the namespaces. Throws `USAGE` where there is no command for them, and what `openRootless` rejects with. */
export async function openRootlessCommand(
  invocation: Invocation,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<RootlessCommand> {
  if (!invocation.command)
    throw cliError("USAGE", "--rootless is for one command, and there is none", {
      hint: "name it after `--`: shipside run deployment/core -- npm start; a shell serves too: -- bash",
    });
  hostPorts(invocation);
  if (flag(invocation, "hostname") && /^(namespaces?|ns)$/i.test(invocation.words[0] ?? "") && invocation.words.length > 1)
    throw cliError("USAGE", "--hostname: a namespace as such has no pods", {
      hint: "name a workload: shipside run deployment/core",
    });
  terminal.busy("making namespaces");
  const { openRootless } = await import("@shipside/daemon/rootless");
  const opened = openRootless({ signal });
  // Loaded by the time the namespaces are there.
  import("@shipside/daemon").catch(() => {});
  return opened;
}

/** Joins the namespaces to the session: its DNS, the rest of the world, its volumes. Says what the command has, and what it has not. */
export async function joinSession(
  rootless: RootlessCommand,
  {
    session,
    relay,
    invocation,
    terminal,
  }: { session: CommandSession; relay: EventRelay; invocation: Invocation; terminal: Terminal },
): Promise<void> {
  const { err } = terminal;
  const warn = (error: Error): void => {
    terminal.warn(error.message);
    for (const line of explain(errorToJson(error), err)) terminal.say(`  ${line}`);
  };
  let { entries } = session;
  relay.listen((event) => {
    if (event.step !== "names") return;
    entries = event.entries;
    rootless.follow(session.info(), entries);
  });
  let way = "";
  const { outside, without } = await rootless.join({
    ...{ info: session.info(), entries, hostPorts: hostPorts(invocation), hostname: flag(invocation, "hostname") },
    opened({ port, hostPort }) {
      terminal.done(`port ${err("bold", String(port))} of the command is on ${err("bold", `127.0.0.1:${hostPort}`)}`);
    },
    outside(change) {
      if (change.kind === "restored") terminal.done(`the rest of the world by ${err("bold", way)} again`);
      else if (change.kind === "interrupted")
        terminal.warn(`${change.error.message}: the rest of the world is away while it is started anew; the cluster is there`);
      else {
        terminal.warn(`${change.error.message}: the command goes on without the rest of the world; the cluster is there`);
        terminal.say(`  ${err("cyan", "hint:")} end the command and run it again to have it back`);
      }
    },
  });
  way = outside;
  if (outside !== "proxy") terminal.done(`the rest of the world by ${err("bold", outside)}`);
  else {
    terminal.warn("the rest of the world by a proxy only: programs that heed HTTP_PROXY reach it");
    for (const { error } of without) terminal.say(`  ${error.message}${error.hint === undefined ? "" : `: ${error.hint}`}`);
  }
  const { mount } = session.info();
  if (!mount || mount.volumes.length === 0) return;
  const failed = await rootless.show(mount);
  if (failed.length < mount.volumes.length) terminal.done("volumes at their own paths, for the command alone");
  for (const error of failed) warn(error);
}

/** Throws `USAGE`. */
function hostPorts(invocation: Invocation): { port: number }[] {
  return list(invocation, "host-port").map((given) => {
    const port = Number(given);
    if (Number.isInteger(port) && port >= 1 && port <= 65_535) return { port };
    throw cliError("USAGE", `--host-port ${JSON.stringify(given)} is no port`, { hint: "such as --host-port 5432" });
  });
}
