import type { CommandModule } from "../command.ts";
import { runIncoming } from "../incoming-command.ts";
import { incomingOptions } from "../incoming-options.ts";
import { rightsOfSessions } from "../rights.ts";

export const rights: NonNullable<CommandModule["rights"]> = async (invocation) =>
  rightsOfSessions([incomingOptions("expose", invocation)]);

export const run: CommandModule["run"] = (invocation, terminal, interrupt) =>
  runIncoming(incomingOptions("expose", invocation), invocation, terminal, interrupt);
