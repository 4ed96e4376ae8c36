import { userInfo } from "node:os";
import { type ErrorJson, errorFromJson } from "@shipside/core";
import { programPath, sourceFlags } from "../../programs.ts";
import { askAsRoot } from "../as-root.ts";
import { elevationFacts, planElevation } from "../elevate.ts";
import { type AsRootOptions, asRootByHand, type DaemonOwner, daemonRequest } from "../start-helper.ts";
import { bootEnv } from "../user-env.ts";
import type { Installed, InstallRequest } from "./install.ts";
import { supportedPlaces } from "./places.ts";

export interface StartAtBoot extends Installed {
  /** Variables that look like secrets: these are not kept for the boot. */
  leftOut: readonly string[];
}

/**
 * Makes helper and daemon of `owner` start at boot; asks for root. Throws `INSTALL_UNSUPPORTED`, `INSTALL_UNSAFE`, `INSTALL_FAILED`,
 * `ROOT_UNAVAILABLE`, `ROOT_REFUSED`.
 */
export async function startAtBoot(owner: DaemonOwner, options: AsRootOptions & { start: boolean }): Promise<StartAtBoot> {
  // Whether it can be is no secret: nobody is asked for a password in vain.
  supportedPlaces(owner.uid);
  const { env, leftOut } = bootEnv(owner.env);
  const user = env["USER"] ?? (process.getuid?.() === owner.uid ? nameOfSelf() : undefined) ?? `uid ${owner.uid}`;
  const request: InstallRequest = { request: daemonRequest({ ...owner, env }), user, start: options.start };
  const { installed } = (await ask(owner, "install", request, options)) as { installed: Installed };
  return { ...installed, leftOut };
}

/** Resolves to false where nothing was installed. Throws as `startAtBoot` does. */
export async function neverAtBoot(owner: DaemonOwner, options: AsRootOptions): Promise<boolean> {
  const { uninstalled } = (await ask(owner, "uninstall", {}, options)) as { uninstalled: boolean };
  return uninstalled;
}

async function ask(owner: DaemonOwner, verb: "install" | "uninstall", line: unknown, options: AsRootOptions): Promise<unknown> {
  const { signal = new AbortController().signal, onAsk = () => {}, commandLine } = options;
  const { uid, gid } = owner;
  const installer = programPath("launch/boot/installer");
  const program = [process.execPath, ...sourceFlags, installer, "--uid", `${uid}`, "--gid", `${gid}`, verb] as const;
  const elevation = planElevation(elevationFacts(), program, asRootByHand(owner, commandLine));
  if (elevation.asks) onAsk(elevation.how);
  const answer = JSON.parse(await askAsRoot(elevation, JSON.stringify(line), signal)) as { error?: ErrorJson };
  if (answer.error) throw errorFromJson(answer.error);
  return answer;
}

/** Undefined where the user database doesn't know this user. */
function nameOfSelf(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
