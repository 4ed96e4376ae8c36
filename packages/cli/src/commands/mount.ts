import type { CommandModule } from "../command.ts";
import { runKept } from "../kept-command.ts";
import { mountOptions } from "../mount-options.ts";
import { rightsOfSessions } from "../rights.ts";

export const rights: NonNullable<CommandModule["rights"]> = async (invocation) => rightsOfSessions([mountOptions(invocation)]);

export const run: CommandModule["run"] = (invocation, terminal, interrupt) =>
  runKept(mountOptions(invocation), invocation, terminal, interrupt);
