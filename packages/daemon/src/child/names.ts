import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { HostsEntry } from "@shipside/core";
import { preloadSource } from "./preload.ts";

/** How a child learns the cluster's names where the machine's hosts file may not be written. */
export type ChildNames =
  /** Its own hosts file over `/etc/hosts`, in its own mount namespace: every program reads it. Linux. */
  | "namespace"
  /** A preloaded module that answers Node's lookups: only Node programs. */
  | "preload";

export interface PrivateNames {
  readonly how: ChildNames;
  /** Replaces the names while the child runs. */
  update(entries: readonly HostsEntry[]): Promise<void>;
  /** Turns a command into one that sees the names. */
  wrap(command: readonly string[], env: NodeJS.ProcessEnv): { command: readonly string[]; env: NodeJS.ProcessEnv };
}

/** Keeps the names in a private hosts file under `dir` and shows it to children in the best way that this machine allows. */
export async function privateNames(dir: string, options: { hostsFile?: string; how?: ChildNames } = {}): Promise<PrivateNames> {
  const { hostsFile = "/etc/hosts" } = options;
  const path = join(dir, "hosts");
  const preload = join(dir, "names.mjs");
  const original = await readFile(hostsFile, "utf8").catch(() => "127.0.0.1 localhost\n");

  // Written in place: a mount shows the file that was mounted, not one that is renamed to its name later. The first line that has a
  // name wins, so ours come first.
  const update = (entries: readonly HostsEntry[]): Promise<void> =>
    writeFile(path, `${entries.map(({ address, names }) => `${address} ${names.join(" ")}\n`).join("")}${original}`, {
      mode: 0o644,
    });
  await update([]);
  const how = options.how ?? (canMountOver(path) ? "namespace" : "preload");
  if (how === "preload") await writeFile(preload, preloadSource);

  return {
    how,
    update,
    wrap(command, env) {
      if (how === "namespace") return { command: [...namespaced(path), ...command], env };
      const option = `--import=${pathToFileURL(preload).href}`;
      return {
        command,
        env: { ...env, NODE_OPTIONS: env["NODE_OPTIONS"] ? `${env["NODE_OPTIONS"]} ${option}` : option, SHIPSIDE_HOSTS: path },
      };
    },
  };
}

/**
 * A user namespace gives the right to mount; a second one inside gives the user the own uid back, so that `id`, files and `ssh` are as
 * ever. No network namespace: 127.72.0.0/14 stays the machine's. Everything is an exec: the child keeps its pid and gets signals itself.
 */
function namespaced(hosts: string): string[] {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const asRoot = uid === 0;
  const back = asRoot ? 'exec "$@"' : `exec unshare --user --map-user=${uid} --map-group=${gid} -- "$@"`;
  const flags = asRoot ? ["--mount"] : ["--user", "--map-root-user", "--mount"];
  return ["unshare", ...flags, "--", "sh", "-c", `mount --bind "$0" /etc/hosts && ${back}`, hosts];
}

/** Asked of the kernel itself: sysctls, seccomp and AppArmor can each forbid it in their own way. */
function canMountOver(hosts: string): boolean {
  if (process.platform !== "linux") return false;
  const [command = "", ...args] = [...namespaced(hosts), "true"];
  return spawnSync(command, args, { stdio: "ignore", timeout: 5_000 }).status === 0;
}
