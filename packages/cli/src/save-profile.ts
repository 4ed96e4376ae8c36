import type { SessionOptions } from "@shipside/daemon/client";
import { flag, type Invocation, text } from "./command.ts";
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
  // What a command alone has, at its own paths, is nobody's to find again.
  const own = flag(invocation, "volumes") && text(invocation, "mount") === undefined;
  const wishes = [sessions].flat().map(({ kubeconfig, mount, ...given }) => ({
    ...given,
    ...(mount && !own && { mount }),
    ...(asked && kubeconfig !== undefined && { kubeconfig }),
  }));
  const { path, leftOut } = await saveProfile(name, wishes);
  terminal.done(`saved as ${terminal.err("bold", name)} (${path}): \`shipside up --profile ${name}\``);
  if (flag(invocation, "rootless")) {
    const lost = ["volumes", "host-port", "hostname"].filter((option) => invocation.options[option] !== undefined);
    const and =
      lost.length === 0 ? "" : `; not saved, since they are a command's: ${lost.map((option) => `--${option}`).join(", ")}`;
    terminal.say(`  a profile has no command: \`up\` opens it for all of this machine, whose names take \`shipside start\`${and}`);
  }
  if (leftOut.length > 0) terminal.warn(`${leftOut.join(", ")}: not saved, because the name tells of a secret`);
}
