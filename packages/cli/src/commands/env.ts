import type { CommandModule } from "../command.ts";
import { flag, text } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { openCommandSession } from "../open-session.ts";
import { createProgress } from "../progress.ts";
import { runSessionCommand } from "../session-command.ts";
import { sessionOptions, wantsForeground } from "../session-options.ts";
import { closeMatching } from "./session.ts";

export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  const options = sessionOptions("env", invocation);
  if (flag(invocation, "clean")) return closeMatching(options, terminal);
  const toFile = options.envFile !== undefined;
  const progress = createProgress(terminal, { command: false });
  const session = await openCommandSession(options, {
    terminal,
    signal: interrupt.signal,
    foreground: wantsForeground(invocation) || !toFile,
    attached: invocation.command !== undefined,
    onEvent: progress.on,
  });
  try {
    progress.ready();
    const info = session.info();
    if (invocation.command) return await runSessionCommand(invocation.command, session, terminal, interrupt);
    if (!toFile) {
      const { renderEnv } = await import("@shipside/daemon");
      const rendered = terminal.json ? "" : renderEnv(session.env, text(invocation, "format") ?? "env");
      terminal.result({ workload: info.workload, env: session.env }, rendered);
      return EXIT.ok;
    }
    terminal.result({ session: info }, "");
    if (session.by === "daemon") {
      terminal.say(`\`shipside session close ${info.id}\` removes it`);
      return EXIT.ok;
    }
    terminal.say("Ctrl-C removes it");
    const reason = await Promise.race([interrupt.came.then(() => undefined), session.ended]);
    if (reason) throw reason;
    return interrupt.exitCode;
  } finally {
    await session.close();
    if (toFile && session.by === "here") terminal.done("everything is as it was");
  }
};
