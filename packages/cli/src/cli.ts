import type { CommandSpec } from "./command.ts";
import { ASSISTANCE_COMMANDS } from "./table/assistance.ts";
import { INCOMING_COMMANDS } from "./table/incoming.ts";
import { MACHINE_COMMANDS } from "./table/machine.ts";
import { RUN_COMMAND } from "./table/run.ts";
import { SESSION_COMMANDS } from "./table/sessions.ts";
import { WORKLOAD_COMMANDS } from "./table/workload.ts";

/** The table of commands, in the order in which help shows them. A command's code is loaded when it runs. */
export const COMMANDS: readonly CommandSpec[] = [
  ...WORKLOAD_COMMANDS,
  RUN_COMMAND,
  ...INCOMING_COMMANDS,
  ...SESSION_COMMANDS,
  ...MACHINE_COMMANDS,
  ...ASSISTANCE_COMMANDS,
];

export function findCommand(name: string): CommandSpec | undefined {
  return COMMANDS.find((command) => command.name === name || command.aliases?.includes(name));
}
