import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { codeOf } from "@shipside/core";
import { type Check, ok, warning } from "../check.ts";
import type { DoctorContext } from "../context.ts";

/** What a command's own hosts file is made with where the machine's can't be written. Linux only; really tried. */
export const userNamespaces: Check = {
  id: "user-namespaces",
  title: "user namespaces",
  async run(context, signal) {
    if (context.platform !== "linux") return [];
    try {
      await promisify(execFile)("unshare", ["--user", "--map-root-user", "--mount", "true"], { signal, env: context.env });
      return [ok("this user may make them")];
    } catch (error) {
      if (codeOf(error) === "ENOENT")
        return [warning("unshare is not in PATH: commands can't have names of their own", "install util-linux")];
      const { why, hint } = await reason(context);
      return [warning(`this user may not make them${why}: commands can't have names of their own`, hint)];
    }
  },
};

async function reason({ file }: DoctorContext): Promise<{ why: string; hint: string }> {
  const read = async (path: string): Promise<string | undefined> =>
    readFile(file(path), "utf8").then(
      (text) => text.trim(),
      () => undefined,
    );
  const switches = [
    { path: "kernel/unprivileged_userns_clone", bad: "0", good: "1" },
    { path: "kernel/apparmor_restrict_unprivileged_userns", bad: "1", good: "0" },
    { path: "user/max_user_namespaces", bad: "0", good: "10000" },
  ];
  for (const { path, bad, good } of switches) {
    if ((await read(`/proc/sys/${path}`)) !== bad) continue;
    const name = path.replace("/", ".");
    return {
      why: ` (${name} is ${bad})`,
      hint: `an administrator can allow it: sudo sysctl ${name}=${good}; or use \`shipside start\``,
    };
  }
  return { why: "", hint: "a container's seccomp profile may forbid it; `shipside start` does without" };
}
