import type { SessionEvent } from "@shipside/daemon/client";
import type { Terminal } from "./terminal.ts";

/** What has changed in an env that is followed, as its owner masked it. */
export async function tellEnvChange({ rows }: Extract<SessionEvent, { step: "env-changed" }>, terminal: Terminal): Promise<void> {
  const { renderDiff } = await import("@shipside/daemon/env");
  for (const line of renderDiff(rows, terminal.errShows).trimEnd().split("\n")) terminal.say(line);
}
