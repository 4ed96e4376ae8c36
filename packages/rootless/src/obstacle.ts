import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { codeOf } from "@shipside/core";
import { rootlessError } from "./errors.ts";
import { AGAIN, NAMESPACE_FLAGS, withSystemPath } from "./launch.ts";

/** What forbids it, and what an administrator can do. */
interface Rule {
  /** Of /proc/sys. */
  path: string;
  forbids(value: string): boolean;
  allow: string;
}

const RULES: readonly Rule[] = [
  { path: "kernel/unprivileged_userns_clone", forbids: (value) => value === "0", allow: "kernel.unprivileged_userns_clone=1" },
  ...["user", "net", "mnt", "pid", "uts"].map((kind) => ({
    path: `user/max_${kind}_namespaces`,
    forbids: (value: string) => value === "0",
    allow: `user.max_${kind}_namespaces=10000`,
  })),
  {
    path: "kernel/apparmor_restrict_unprivileged_userns",
    forbids: (value) => value === "1",
    allow: "kernel.apparmor_restrict_unprivileged_userns=0",
  },
];

/** Bits of SECCOMP in /proc/self/status: 2 is a filter (proc_pid_status(5)). */
const FILTERED = /^Seccomp:\s*2$/m;

export interface ObstacleOptions {
  /** Default: this process's. */
  env?: NodeJS.ProcessEnv;
  /** Where /proc stands. Default "/proc". */
  proc?: string;
  signal?: AbortSignal;
}

/** Why `openNamespace` can't do here, with its codes; undefined where it can. Asked of the kernel itself, and nothing is left. */
export async function findObstacle({ env = process.env, proc, signal }: ObstacleOptions = {}): Promise<Error | undefined> {
  if (process.platform !== "linux") return notLinux();
  const needs = ["sh", "-c", `ip link set lo up && mount -t tmpfs shipside /tmp && ${AGAIN}`];
  const options = { env: { ...env, ...withSystemPath(env) }, ...(signal && { signal }) };
  try {
    await promisify(execFile)("unshare", [...NAMESPACE_FLAGS, "--", ...needs], options);
    return undefined;
  } catch (error) {
    if (signal?.aborted) throw error;
    return whyNot((error as { stderr?: string }).stderr ?? "", error, proc);
  }
}

export const notLinux = (): Error =>
  rootlessError("ROOTLESS_UNSUPPORTED", `namespaces are Linux's, and this is ${process.platform}`, {
    hint: "`shipside start` asks for root once, and gives names and ports to every program",
  });

/**
 * Turns what failed into `ROOTLESS_FORBIDDEN` with the rule that forbids it, `ROOTLESS_UNSUPPORTED` with the program that is missing, or
 * `ROOTLESS_FAILED`. `said`: what `unshare` and the shell in it wrote. `root`: where /proc stands.
 */
export async function whyNot(said: string, cause: unknown, root = "/proc"): Promise<Error> {
  const missing = /(\w+): (?:command )?not found/.exec(said)?.[1];
  if (missing !== undefined || codeOf(cause) === "ENOENT")
    return rootlessError("ROOTLESS_UNSUPPORTED", `could not make namespaces: this machine has no program ${missing ?? "unshare"}`, {
      hint: missing === "ip" ? "install iproute2" : "install util-linux",
      cause,
    });
  const read = (path: string): Promise<string | undefined> =>
    readFile(`${root}/${path}`, "utf8").then(
      (text) => text.trim(),
      () => undefined,
    );
  for (const { path, forbids, allow } of RULES) {
    const value = await read(`sys/${path}`);
    if (value === undefined || !forbids(value)) continue;
    const name = path.replace("/", ".");
    return rootlessError("ROOTLESS_FORBIDDEN", `this machine lets you make no namespaces: ${name} is ${value}`, {
      hint: `an administrator can allow it: sudo sysctl ${allow}; or use \`shipside start\``,
      cause,
      details: { rule: name, value },
    });
  }
  if (!/not permitted|permission denied|superuser|no space left|invalid argument|not implemented/i.test(said))
    return rootlessError("ROOTLESS_FAILED", `could not make namespaces: ${said.trim() || message(cause)}`, { cause });
  // namespaces(7). Counted with those of all who have made the surroundings: a container's limit may be on its host.
  if (/no space left/i.test(said))
    return rootlessError("ROOTLESS_FORBIDDEN", "this machine lets you make no more namespaces: a limit is used up", {
      hint: "an administrator can raise it (in a container, on its host): sudo sysctl user.max_user_namespaces=10000; or use `shipside start`",
      cause,
      details: { rule: "user.max_user_namespaces" },
    });
  const filtered = FILTERED.test((await read("self/status")) ?? "");
  const why = filtered ? "a seccomp filter, such as a container's, forbids it" : `the kernel says: ${said.trim()}`;
  return rootlessError("ROOTLESS_FORBIDDEN", `this machine lets you make no namespaces: ${why}`, {
    hint: filtered
      ? "run the container with a profile that allows unshare (docker: --security-opt seccomp=unconfined); or use `shipside start`"
      : "`shipside start` does without",
    cause,
    ...(filtered && { details: { rule: "seccomp" } }),
  });
}

const message = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
