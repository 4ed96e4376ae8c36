import { hasCode } from "@shipside/core";
import { stopDaemon } from "@shipside/daemon/client";
import type { CommandModule } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { recoverNow } from "./session.ts";

export const run: CommandModule["run"] = async (_invocation, terminal) => {
  terminal.busy("closing sessions");
  const stopped = await stopDaemon().catch((error: unknown) => {
    if (hasCode(error, "DAEMON_UNREACHABLE")) return undefined;
    throw error;
  });
  const left = await recoverNow(terminal);
  terminal.done(stopped ? `the daemon (pid ${stopped.pid}) has ended, everything is as it was` : "no daemon runs");
  terminal.result({ stopped: stopped?.pid ?? null, residue: left }, "");
  return left.length > 0 ? EXIT.residue : EXIT.ok;
};
