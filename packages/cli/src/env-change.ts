import type { SessionEvent } from "@shipside/daemon/client";
import type { Terminal } from "./terminal.ts";

const library = () => import("@shipside/daemon/env");

/** Resolves when what was to be told by now has been. */
export const envChangesTold = async (): Promise<void> => void (await library());

/** What has changed in an env that is followed, as its owner masked it. */
export async function tellEnvChange({ rows }: Extract<SessionEvent, { step: "env-changed" }>, terminal: Terminal): Promise<void> {
  const { renderDiff } = await library();
  for (const line of renderDiff(rows, terminal.errShows).trimEnd().split("\n")) terminal.say(line);
}
