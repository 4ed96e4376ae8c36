import type { CommandModule } from "../command.ts";

import { incomingOptions } from "../incoming-options.ts";
import { runKept } from "../kept-command.ts";
import { rightsOfSessions } from "../rights.ts";

export const rights: NonNullable<CommandModule["rights"]> = async (invocation) =>
  rightsOfSessions([incomingOptions("expose", invocation)]);

export const run: CommandModule["run"] = (invocation, terminal, interrupt) =>
  runKept(incomingOptions("expose", invocation), invocation, terminal, interrupt);
