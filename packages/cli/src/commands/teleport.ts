import { runInSession } from "@shipside/daemon/client";
import type { CommandModule } from "../command.ts";
import { flag } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import type { Interrupt } from "../interrupt.ts";
import { type CommandSession, openCommandSession, sharedPorts } from "../open-session.ts";
import { createProgress } from "../progress.ts";
import { sessionOptions, wantsForeground } from "../session-options.ts";
import type { Terminal } from "../terminal.ts";
import { closeMatching } from "./session.ts";

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  const options = sessionOptions("teleport", invocation);
  if (flag(invocation, "clean")) return closeMatching(options, terminal);
  const began = performance.now();
  const { command } = invocation;
  let calm: Awaited<ReturnType<typeof sharedPorts>> | undefined;
  const progress = createProgress(terminal, { command: command !== undefined, calm: (error) => calm?.calm(error) ?? false });
  let onNames: ((entries: CommandSession["entries"]) => void) | undefined;
  const session = await openCommandSession(options, {
    terminal,
    signal: interrupt.signal,
    foreground: wantsForeground(invocation),
    attached: command !== undefined,
    onEvent(event) {
      progress.on(event);
      if (event.step === "names") onNames?.(event.entries);
    },
  });
  try {
    const info = session.info();
    calm = await sharedPorts(info);
    progress.ready();
    for (const pid of calm.pids)
      terminal.say(`  ports that shipside ${pid} has open are used as they are, and taken over when it ends`);
    const readyMs = Math.round(performance.now() - began);
    const ready = `${terminal.err("green", "ready")} in ${(readyMs / 1000).toFixed(1)} s`;
    if (command) {
      terminal.say(`${ready}: ${terminal.err("bold", command.join(" "))}`);
      return await runCommand(command, session, terminal, interrupt, (listener) => {
        onNames = listener;
      });
    }
    terminal.result({ session: info, readyMs }, "");
    if (session.by === "daemon") {
      terminal.say(`${ready}; \`shipside session close ${info.id}\` ends it`);
      return EXIT.ok;
    }
    terminal.say(`${ready}; Ctrl-C undoes it all`);
    const reason = await Promise.race([interrupt.came.then(() => undefined), session.ended]);
    if (reason) throw reason;
    return interrupt.exitCode;
  } finally {
    await undo(session, terminal, interrupt);
  }
};

/** With a command, its exit code is ours and signals are its own to judge. */
async function runCommand(
  command: readonly string[],
  session: CommandSession,
  terminal: Terminal,
  interrupt: Interrupt,
  onNames: (listener: (entries: CommandSession["entries"]) => void) => void,
): Promise<number> {
  const { names } = session.info();
  await using started = await runInSession({
    command,
    env: session.env,
    entries: names.where === "hosts" ? undefined : session.entries,
    journal: session.journal,
    stdout: terminal.json ? "stderr" : "inherit",
  });
  onNames((entries) => void started.updateNames(entries).catch(() => {}));
  let interrupts = 0;
  const undivert = interrupt.divert((signal) => {
    // A terminal sends Ctrl-C to the child too: once is enough. Whoever insists means it.
    if (signal === "SIGINT" && process.stdin.isTTY && ++interrupts < 3) return;
    started.running.kill(interrupts >= 3 ? "SIGKILL" : signal);
    if (signal !== "SIGINT") setTimeout(() => started.running.kill("SIGKILL"), 5_000).unref();
  });
  void session.ended.then((reason) => reason && terminal.warn(reason.message));
  try {
    const exitCode = await started.running.exited;
    terminal.result({ session: session.info(), command, exitCode }, "");
    return exitCode;
  } finally {
    undivert();
  }
}

async function undo(session: CommandSession, terminal: Terminal, interrupt: Interrupt): Promise<void> {
  if (interrupt.by) terminal.busy("cleaning up");
  await session.close();
  if (session.by === "here") terminal.done("everything is as it was");
}
