import type { ErrorJson } from "@shipside/core";
import { daemonError } from "../errors.ts";

/**
 * What the command line asks for, one line of JSON on the helper's standard input. The helper hands it on unread; the launcher looks at it
 * only when it has become the user, so that nothing in it is root's to run or to open.
 */
export interface LaunchRequest {
  /** The daemon's whole environment. */
  env: Readonly<Record<string, string>>;
  /** The daemon's program: absolute path, then its arguments. */
  exec: readonly [program: string, ...args: string[]];
  /** Absolute path of the file that the daemon's output goes to; its folder is made. */
  log: string;
}

/** The first word that comes back, one line of JSON on the helper's standard output. */
export type LaunchWord = { ready: true; helper: number; daemon: number; undone: readonly string[] } | { error: ErrorJson };

/** Who the daemon runs as. */
export interface UserIds {
  uid: number;
  gid: number;
}

/** Throws `LAUNCH_FAILED`. */
export function checkLaunchRequest(value: unknown): LaunchRequest {
  const { env, exec, log } = (value ?? {}) as Record<string, unknown>;
  const isText = (each: unknown): each is string => typeof each === "string" && !each.includes("\0");
  const fits =
    typeof env === "object" &&
    env !== null &&
    !Array.isArray(env) &&
    Object.entries(env).every(([name, text]) => name !== "" && !/[=\0]/.test(name) && isText(text)) &&
    Array.isArray(exec) &&
    exec.every(isText) &&
    exec[0]?.startsWith("/") &&
    isText(log) &&
    log.startsWith("/");
  if (!fits) throw daemonError("LAUNCH_FAILED", "what the daemon is to be started with is malformed");
  return { env: env as LaunchRequest["env"], exec: exec as unknown as LaunchRequest["exec"], log: log as string };
}

/** Undefined where `line` isn't such a word. */
export function parseLaunchWord(line: string): LaunchWord | undefined {
  try {
    const { ready, helper, daemon, undone, error } = JSON.parse(line) as Record<string, unknown>;
    if (ready === true && typeof helper === "number" && typeof daemon === "number") {
      return { ready, helper, daemon, undone: Array.isArray(undone) ? undone.map(String) : [] };
    }
    const { code, message } = (error ?? {}) as Record<string, unknown>;
    return typeof code === "string" && typeof message === "string" ? { error: error as ErrorJson } : undefined;
  } catch {
    return undefined;
  }
}

/** Reads `--uid N --gid N`. Root has no business here: throws `LAUNCH_FAILED` for uid 0. */
export function parseIds(argv: readonly string[]): UserIds {
  const read = (name: string): number => {
    const text = argv[argv.indexOf(name) + 1] ?? "";
    // The highest id means "none" to the kernel.
    const id = argv.includes(name) && /^(0|[1-9]\d{0,9})$/.test(text) ? Number(text) : Number.NaN;
    if (!(id < 0xffff_ffff)) throw daemonError("LAUNCH_FAILED", `${name} wants a number, not ${JSON.stringify(text)}`);
    return id;
  };
  const ids = { uid: read("--uid"), gid: read("--gid") };
  if (ids.uid === 0) throw daemonError("LAUNCH_FAILED", "the helper is for daemons of ordinary users, and uid 0 is none");
  return ids;
}
