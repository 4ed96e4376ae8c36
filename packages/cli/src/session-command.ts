import { setTimeout as delay } from "node:timers/promises";
import { type CommandInSession, type RunInSessionOptions, runInSession, type SessionEvent } from "@shipside/daemon/client";
import { flag, type Invocation, text } from "./command.ts";
import { envChangesTold } from "./env-change.ts";
import { cliError } from "./errors.ts";
import type { Interrupt } from "./interrupt.ts";
import type { CommandSession } from "./open-session.ts";
import type { Terminal } from "./terminal.ts";

/** Hands a session's events on to whoever listens by then. */
export interface EventRelay {
  on(event: SessionEvent): void;
  listen(listener: (event: SessionEvent) => void): void;
}

export function createEventRelay(first: (event: SessionEvent) => void): EventRelay {
  const listeners = [first];
  return {
    on(event) {
      for (const listener of listeners) listener(event);
    },
    listen: (listener) => void listeners.push(listener),
  };
}

export interface RestartOptions {
  /** Between SIGTERM and SIGKILL. */
  graceMs: number;
}

/** `--restart-on-change` and `--grace`. */
export function restartOptions(invocation: Invocation): RestartOptions | undefined {
  const grace = text(invocation, "grace");
  const restart = flag(invocation, "restart-on-change");
  if (restart && !invocation.command)
    throw cliError("USAGE", "--restart-on-change: there is no command to restart", { hint: "name one after `--`" });
  if (grace !== undefined && !restart)
    throw cliError("USAGE", "--grace is how long a restart waits, and nothing is restarted", { hint: "add --restart-on-change" });
  const seconds = grace === undefined ? 5 : Number(grace);
  if (!(seconds >= 0 && seconds <= 3600) || grace?.trim() === "")
    throw cliError("USAGE", `--grace ${JSON.stringify(grace)} is no number of seconds`, { hint: "0 to 3600, such as 10" });
  return restart ? { graceMs: seconds * 1000 } : undefined;
}

export interface SessionCommandContext {
  terminal: Terminal;
  interrupt: Interrupt;
  relay: EventRelay;
  /** Where it isn't run beside this process. */
  run?: NonNullable<RunInSessionOptions["run"]>;
  /** Start it anew with what its env has become. */
  restart?: RestartOptions;
}

/** With a command, its exit code is ours and signals are its own to judge. Rejects with `ABORTED` where one came before there was any. */
export async function runSessionCommand(
  command: readonly string[],
  session: CommandSession,
  { terminal, interrupt, relay, run, restart }: SessionCommandContext,
): Promise<number> {
  interrupt.signal.throwIfAborted();
  let { env, entries } = session;
  let started: CommandInSession | undefined;
  let restarts = 0;
  /** A signal that came while no command was there to judge it. */
  let stop: NodeJS.Signals | undefined;
  let restarting = false;
  let changed = new Set<string>();
  let onChanged: () => void = () => {};
  relay.listen((event) => {
    if (event.step === "names") {
      entries = event.entries;
      void started?.updateNames(entries).catch(() => {});
    } else if (event.step === "env-changed") {
      for (const name of event.names) changed.add(name);
      onChanged();
    }
  });

  let interrupts = 0;
  const undivert = interrupt.divert((signal) => {
    if (!started || restarting) stop = signal;
    // A terminal sends Ctrl-C to the child too: once is enough. Whoever insists means it.
    if (signal === "SIGINT" && process.stdin.isTTY && ++interrupts < 3) return;
    started?.running.kill(interrupts >= 3 ? "SIGKILL" : signal);
    if (signal !== "SIGINT") setTimeout(() => started?.running.kill("SIGKILL"), 5_000).unref();
  });
  let over = false;
  void session.ended.then((reason) => {
    if (!over) terminal.warn(`${reason?.message ?? "the session was closed from elsewhere"}: the command runs on without it`);
  });

  /** Ends one and resolves to what it ended with. */
  const end = async ({ running }: CommandInSession, graceMs: number): Promise<number> => {
    running.kill("SIGTERM");
    const patience = new AbortController();
    const waited = delay(graceMs, undefined, { signal: patience.signal }).catch(() => {});
    await Promise.race([running.exited, waited]);
    patience.abort();
    running.kill("SIGKILL");
    return running.exited;
  };

  /** Until it exits by itself: its exit code. Undefined where its env has changed. */
  const runOnce = async (): Promise<number | undefined> => {
    await using child = await runInSession({
      command,
      env,
      entries: session.info().names.where === "commands" ? entries : undefined,
      journal: session.journal,
      ...(run && { run }),
      stdout: terminal.json ? "stderr" : "inherit",
    });
    started = child;
    if (child.names === "preload" && restarts === 0) {
      terminal.warn("programs of Node alone have the names: this machine lets the command have no hosts file of its own");
      terminal.say(
        `  ${terminal.err("cyan", "hint:")} \`shipside start\` gives them to every program; its env has addresses that any can use`,
      );
    }
    if (stop) child.running.kill(stop);
    for (;;) {
      const news = new Promise<undefined>((resolve) => {
        onChanged = () => resolve(undefined);
        if (changed.size > 0) resolve(undefined);
      });
      const exitCode = await (restart ? Promise.race([child.running.exited, news]) : child.running.exited);
      if (exitCode !== undefined || !restart) return exitCode;
      const names = [...changed].sort().join(", ");
      changed = new Set();
      try {
        await envChangesTold();
        env = await session.currentEnv();
      } catch (error) {
        terminal.error(error);
        continue;
      }
      terminal.say(`${terminal.err("bold", names)} changed: restarting ${terminal.err("bold", command.join(" "))}`);
      restarting = true;
      const endedWith = await end(child, restart.graceMs);
      return stop ? endedWith : undefined;
    }
  };

  try {
    if (restart) {
      changed = new Set();
      env = await session.currentEnv();
    }
    let exitCode = await runOnce();
    while (exitCode === undefined) {
      restarts++;
      restarting = false;
      started = undefined;
      exitCode = await runOnce();
    }
    terminal.result({ session: session.info(), command, exitCode, ...(restart && { restarts }) }, "");
    return exitCode;
  } finally {
    over = true;
    await undivert();
  }
}
