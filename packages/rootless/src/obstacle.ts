import { readFile } from "node:fs/promises";
import { codeOf } from "@shipside/core";
import { rootlessError } from "./errors.ts";

/** What forbids it, and what an administrator can do. */
interface Rule {
  /** Of /proc/sys. */
  path: string;
  forbids(value: string): boolean;
  allow: string;
}

const RULES: readonly Rule[] = [
  { path: "kernel/unprivileged_userns_clone", forbids: (value) => value === "0", allow: "kernel.unprivileged_userns_clone=1" },
  { path: "user/max_user_namespaces", forbids: (value) => value === "0", allow: "user.max_user_namespaces=10000" },
  { path: "user/max_net_namespaces", forbids: (value) => value === "0", allow: "user.max_net_namespaces=10000" },
  {
    path: "kernel/apparmor_restrict_unprivileged_userns",
    forbids: (value) => value === "1",
    allow: "kernel.apparmor_restrict_unprivileged_userns=0",
  },
];

/** Bits of SECCOMP in /proc/self/status: 2 is a filter (proc_pid_status(5)). */
const FILTERED = /^Seccomp:\s*2$/m;

/**
 * Turns what failed into `ROOTLESS_FORBIDDEN` with the rule that forbids it, `ROOTLESS_UNSUPPORTED` with the program that is missing, or
 * `ROOTLESS_FAILED`. `said`: what `unshare` and the shell in it wrote. `root`: where /proc stands.
 */
export async function whyNot(said: string, cause: unknown, root = "/proc"): Promise<Error> {
  const missing = /(\w+): (?:command )?not found/.exec(said)?.[1];
  if (missing !== undefined || codeOf(cause) === "ENOENT")
    return rootlessError("ROOTLESS_UNSUPPORTED", `could not make namespaces: this machine has no program ${missing ?? "sh"}`, {
      hint: missing === "ip" ? "install iproute2" : "install util-linux",
      cause,
    });
  if (!/not permitted|permission denied|no space left|invalid argument|not implemented/i.test(said))
    return rootlessError("ROOTLESS_FAILED", `could not make namespaces: ${said.trim() || message(cause)}`, { cause });
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
