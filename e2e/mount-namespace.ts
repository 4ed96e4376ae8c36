import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";

const asRoot = process.getuid?.() === 0;
const UNSHARE = asRoot ? ["--mount", "--propagation", "private"] : ["--mount", "--map-root-user"];

/** Whether one can be had here: Linux, and the right to mount in it. */
export const canMount = ((): boolean => {
  try {
    execFileSync("unshare", [...UNSHARE, "sh", "-c", "mount -t tmpfs none /mnt && command -v nsenter"], { stdio: "ignore" });
    return process.platform === "linux";
  } catch {
    return false;
  }
})();

/** Where a machine of a test's own has its mounts. Lasts until it is disposed of, or this process is gone and everything in it too. */
export interface MountNamespace extends AsyncDisposable {
  /** Of the process that holds it. */
  readonly pid: number;
  /** A command line that runs there: as root, or with these flags of `nsenter`. */
  command(words: readonly string[], flags?: readonly string[]): [program: string, ...args: string[]];
}

/** `setup`: a shell script of root's. Rejects where it fails. */
export async function openMountNamespace(setup: string): Promise<MountNamespace> {
  const script = `set -e\n${setup}\necho ready\nexec sleep infinity`;
  const holder = spawn("unshare", [...UNSHARE, "sh", "-c", script], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  for await (const chunk of holder.stdout) if ((said += chunk).endsWith("ready\n")) break;
  if (!said.endsWith("ready\n")) throw new Error(`setting up a mount namespace failed: ${said}`);
  const pid = holder.pid!;
  const enter = asRoot ? [`--mount=/proc/${pid}/ns/mnt`] : [`--target=${pid}`, "--user", "--mount", "--preserve-credentials"];
  return {
    pid,
    command: (words, flags = []) => ["nsenter", ...enter, ...flags, "--", ...words],
    async [Symbol.asyncDispose]() {
      if (holder.exitCode !== null || holder.signalCode !== null) return;
      const gone = once(holder, "exit");
      holder.kill("SIGKILL");
      await gone;
    },
  };
}
