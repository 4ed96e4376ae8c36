import { errorToJson } from "@shipside/core";
import type { SessionInfo } from "@shipside/daemon/client";
import type { Rootless } from "@shipside/daemon/rootless";
import type { Invocation } from "./command.ts";
import { cliError } from "./errors.ts";
import { explain, type Terminal } from "./terminal.ts";

/** Where `--rootless` runs its command. */
export type RootlessCommand = Rootless;

/** Makes the namespaces. Throws `USAGE` where there is no command for them, and what `openRootless` rejects with. */
export async function openRootlessCommand(
  invocation: Invocation,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<RootlessCommand> {
  if (!invocation.command)
    throw cliError("USAGE", "--rootless is for one command, and there is none", {
      hint: "name it after `--`: shipside run deployment/core -- npm start; a shell serves too: -- bash",
    });
  terminal.busy("making namespaces");
  const { openRootless } = await import("@shipside/daemon/rootless");
  const opened = openRootless({ signal });
  // Loaded by the time the namespaces are there.
  import("@shipside/daemon").catch(() => {});
  return opened;
}

/** Has the session's volumes at their own paths, and says so. */
export async function showVolumes(rootless: RootlessCommand, { mount }: SessionInfo, terminal: Terminal): Promise<void> {
  if (!mount || mount.volumes.length === 0) return;
  const failed = await rootless.show(mount);
  if (failed.length < mount.volumes.length) terminal.done("volumes at their own paths, for the command alone");
  for (const error of failed) {
    terminal.warn(error.message);
    for (const line of explain(errorToJson(error), terminal.err)) terminal.say(`  ${line}`);
  }
}
