import type { SessionOptions } from "@shipside/daemon/client";
import { type Invocation, text } from "./command.ts";
import type { Terminal } from "./terminal.ts";

/** `--save-profile NAME`: the options as they were given. What this shell's surroundings added isn't among them. */
export async function saveIfWanted(
  invocation: Invocation,
  sessions: SessionOptions | readonly SessionOptions[],
  terminal: Terminal,
): Promise<void> {
  const name = text(invocation, "save-profile");
  if (name === undefined) return;
  const { saveProfile } = await import("@shipside/daemon/profile");
  const asked = text(invocation, "kubeconfig") !== undefined;
  const wishes = [sessions].flat().map(({ kubeconfig, ...given }) => ({
    ...given,
    ...(asked && kubeconfig !== undefined && { kubeconfig }),
  }));
  const { path, leftOut } = await saveProfile(name, wishes);
  terminal.done(`saved as ${terminal.err("bold", name)} (${path}): \`shipside up --profile ${name}\``);
  if (leftOut.length > 0) terminal.warn(`${leftOut.join(", ")}: not saved, because the name tells of a secret`);
}
