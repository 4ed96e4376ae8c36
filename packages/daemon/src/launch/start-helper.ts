import { errorFromJson } from "@shipside/core";
import { daemonError } from "../errors.ts";
import { logPath, rawLogPath } from "../log-file.ts";
import { stateDir } from "../paths.ts";
import { programPath, sourceFlags } from "../programs.ts";
import { askAsRoot } from "./as-root.ts";
import { daemonCommand } from "./daemon-command.ts";
import { type Elevation, elevationFacts, planElevation } from "./elevate.ts";
import { type LaunchRequest, type LaunchWord, parseLaunchWord, type UserIds } from "./request.ts";
import { userBehindRoot } from "./user.ts";
import { type Env, userEnv, userEnvOfRoot } from "./user-env.ts";

export interface AsRootOptions {
  signal?: AbortSignal;
  /** The command line that does this, for a person who has to run it as root: `shipside start`, as absolute paths. */
  commandLine: readonly string[];
  /** Told right before a password may be asked for. */
  onAsk?: (how: Elevation["how"]) => void;
}

export interface StartedWithHelper {
  pid: number;
  /** The helper's process, root's. */
  helper: number;
  log: string;
  /** What an earlier helper had left, in sentences for people. */
  undone: readonly string[];
}

/** Whose daemon this process starts. */
export interface DaemonOwner extends UserIds {
  env: Env;
}

/** Undefined where that is root itself, who needs no helper. Throws `ROOT_USER_UNKNOWN`. */
export function daemonOwner(): DaemonOwner | undefined {
  const { getuid, getgid, env } = process;
  if (!getuid || !getgid) return undefined;
  if (getuid() !== 0) return { uid: getuid(), gid: getgid(), env: userEnv(env) };
  const user = userBehindRoot(env);
  return user && { uid: user.uid, gid: user.gid, env: userEnvOfRoot(env, user) };
}

/**
 * Starts the helper as root and, by it, the daemon as the user; both outlive this process and its terminal. Throws what kept either from
 * coming up: `ROOT_UNAVAILABLE`, `ROOT_REFUSED`, `HELPER_FAILED`, `LAUNCH_FAILED`, `DAEMON_RUNNING`, …
 */
export async function startWithHelper(owner: DaemonOwner, options: AsRootOptions): Promise<StartedWithHelper> {
  const request = daemonRequest(owner);
  const { daemon, helper, undone } = await launchByHelper(owner, request, options);
  return { pid: daemon, helper, log: logPath(stateDir(owner.env)), undone };
}

/** What the daemon of `owner` is started with. */
export function daemonRequest({ env }: DaemonOwner): LaunchRequest {
  return {
    env,
    exec: daemonCommand("--helper"),
    log: rawLogPath(stateDir(env)),
  };
}

/** A helper that starts undoes what an earlier one left; with nothing to serve it ends again. Throws as `startWithHelper` does. */
export async function undoAsRoot(owner: DaemonOwner, options: AsRootOptions): Promise<readonly string[]> {
  const nothing = "process.send({ ready: true }, () => process.disconnect())";
  const request: LaunchRequest = { env: {}, exec: [process.execPath, "-e", nothing], log: "/dev/null" };
  return (await launchByHelper(owner, request, options)).undone;
}

async function launchByHelper(
  { uid, gid, env }: DaemonOwner,
  request: LaunchRequest,
  options: AsRootOptions,
): Promise<Exclude<LaunchWord, { error: unknown }>> {
  const { signal = new AbortController().signal, onAsk = () => {} } = options;
  const program = [process.execPath, ...sourceFlags, programPath("launch/detach"), "--uid", `${uid}`, "--gid", `${gid}`] as const;
  const elevation = planElevation(elevationFacts(), program, asRootByHand({ uid, gid, env }, options.commandLine));
  if (elevation.asks) onAsk(elevation.how);
  const line = await askAsRoot(elevation, JSON.stringify(request), signal);
  const word = parseLaunchWord(line);
  if (!word) throw daemonError("HELPER_FAILED", `the helper said ${JSON.stringify(line.slice(0, 200))}, which is no word of it`);
  if ("error" in word) throw errorFromJson(word.error);
  return word;
}

/** For a machine with neither sudo nor doas: what somebody types who knows root's password. */
export function asRootByHand({ uid, gid, env }: DaemonOwner, commandLine: readonly string[]): string {
  const kubeconfig = env["KUBECONFIG"];
  const set = [`SUDO_UID=${uid}`, `SUDO_GID=${gid}`, ...(kubeconfig ? [`KUBECONFIG=${quote(kubeconfig)}`] : [])];
  return `su root -c ${quote([...set, ...commandLine.map(quote)].join(" "))}`;
}

const quote = (text: string): string => (/^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
