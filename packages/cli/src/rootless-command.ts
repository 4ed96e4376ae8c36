import type { Rootless } from "@shipside/daemon/rootless";
import type { Invocation } from "./command.ts";
import { cliError } from "./errors.ts";
import type { Terminal } from "./terminal.ts";

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
