import { runInSession } from "@shipside/daemon/client";
import type { Interrupt } from "./interrupt.ts";
import type { CommandSession } from "./open-session.ts";
import type { Terminal } from "./terminal.ts";

/** With a command, its exit code is ours and signals are its own to judge. */
export async function runSessionCommand(
  command: readonly string[],
  session: CommandSession,
  terminal: Terminal,
  interrupt: Interrupt,
  onNames: (listener: (entries: CommandSession["entries"]) => void) => void = () => {},
): Promise<number> {
  const { names } = session.info();
  await using started = await runInSession({
    command,
    env: session.env,
    entries: names.where === "commands" ? session.entries : undefined,
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
  let over = false;
  void session.ended.then((reason) => {
    if (!over) terminal.warn(`${reason?.message ?? "the session was closed from elsewhere"}: the command runs on without it`);
  });
  try {
    const exitCode = await started.running.exited;
    terminal.result({ session: session.info(), command, exitCode }, "");
    return exitCode;
  } finally {
    over = true;
    undivert();
  }
}
