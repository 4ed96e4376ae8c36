import type { SessionOptions } from "@shipside/daemon/client";
import { flag, type Invocation } from "./command.ts";
import { closeMatching } from "./commands/session.ts";
import { EXIT } from "./exit-codes.ts";
import type { Interrupt } from "./interrupt.ts";
import { openCommandSession } from "./open-session.ts";
import { createProgress } from "./progress.ts";
import { wantsForeground } from "./session-options.ts";
import type { Terminal } from "./terminal.ts";

/** Opens a session that brings traffic here, and keeps it: in the daemon, or in this process until Ctrl-C. */
export async function runIncoming(
  options: SessionOptions,
  invocation: Invocation,
  terminal: Terminal,
  interrupt: Interrupt,
): Promise<number> {
  if (flag(invocation, "clean")) return closeMatching(options, terminal);
  const began = performance.now();
  const progress = createProgress(terminal, { command: false });
  const session = await openCommandSession(options, {
    terminal,
    signal: interrupt.signal,
    foreground: wantsForeground(invocation),
    attached: false,
    onEvent: progress.on,
  });
  try {
    progress.ready();
    const info = session.info();
    const readyMs = Math.round(performance.now() - began);
    terminal.result({ session: info, readyMs }, "");
    const ready = `${terminal.err("green", "ready")} in ${(readyMs / 1000).toFixed(1)} s`;
    if (session.by === "daemon") {
      terminal.say(`${ready}; \`shipside session close ${info.id}\` ends it`);
      return EXIT.ok;
    }
    terminal.say(`${ready}; Ctrl-C undoes it all`);
    const reason = await Promise.race([interrupt.came.then(() => undefined), session.ended]);
    if (reason) throw reason;
    return interrupt.exitCode;
  } finally {
    if (session.by === "here") terminal.busy("cleaning up");
    await session.close();
    if (session.by === "here") terminal.done("everything is as it was");
  }
}
