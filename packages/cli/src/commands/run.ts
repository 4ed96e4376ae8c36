import type { CommandModule, Invocation } from "../command.ts";
import * as teleport from "./teleport.ts";

/** `shipside run` is `shipside teleport --rootless`. */
const asTeleport = (invocation: Invocation): Invocation => ({
  ...invocation,
  options: { ...invocation.options, rootless: true },
});

export const rights: NonNullable<CommandModule["rights"]> = (invocation) => teleport.rights(asTeleport(invocation));

export const run: CommandModule["run"] = (invocation, terminal, interrupt) =>
  teleport.run(asTeleport(invocation), terminal, interrupt);
