import type { SessionOptions } from "@shipside/daemon/client";
import { flag, type Invocation } from "./command.ts";
import { closeMatching } from "./commands/session.ts";
import type { Interrupt } from "./interrupt.ts";
import { keepOpen, readyIn } from "./keep-open.ts";
import { openCommandSession } from "./open-session.ts";
import { createProgress } from "./progress.ts";
import { saveIfWanted } from "./save-profile.ts";
import { wantsForeground } from "./session-options.ts";
import type { Terminal } from "./terminal.ts";

/** Opens a session that has nothing to run, and keeps it: in the daemon, or in this process until Ctrl-C. */
export async function runKept(
  options: SessionOptions,
  invocation: Invocation,
  terminal: Terminal,
  interrupt: Interrupt,
): Promise<number> {
  if (flag(invocation, "clean")) return closeMatching([options], terminal);
  const began = performance.now();
  const progress = createProgress(terminal, {
    command: false,
    opening: options.mount ? "bringing volumes" : "taking what is called here",
  });
  const session = await openCommandSession(options, {
    terminal,
    signal: interrupt.signal,
    foreground: wantsForeground(invocation),
    attached: false,
    onEvent: progress.on,
  });
  try {
    progress.ready();
    const readyMs = Math.round(performance.now() - began);
    await saveIfWanted(invocation, options, terminal);
    terminal.result({ session: session.info(), readyMs }, "");
    return await keepOpen(session, { terminal, interrupt, ready: readyIn(readyMs, terminal) });
  } finally {
    if (session.by === "here") terminal.busy("cleaning up");
    await session.close();
    if (session.by === "here") terminal.done("everything is as it was");
  }
}
