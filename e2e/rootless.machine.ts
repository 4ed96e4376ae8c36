import { existsSync } from "node:fs";
import { chmod, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { vi } from "vitest";
import { NOBODY, newUser, type User } from "./cli.harness.ts";
import { canMount, type MountNamespace, openMountNamespace } from "./mount-namespace.ts";

/** Root makes one: a machine whose every user may open /dev/net/tun and /dev/fuse, and sees what is mounted later, as on most. */
export const canHaveUsualMachine =
  process.platform === "linux" &&
  process.getuid?.() === 0 &&
  canMount &&
  ["pasta", "slirp4netns"].some((program) => existsSync(`/usr/bin/${program}`));

export interface UsualMachine extends AsyncDisposable {
  readonly cluster: EmbeddedCluster;
  readonly user: User;
  /** The cluster and the namespace, as options of the command line. */
  where(): string[];
  /** A command line that runs another one there, as the user. */
  enter(words: readonly string[]): string[];
  /** Whether users may open /dev/net/tun. */
  allowTun(allowed: boolean): Promise<void>;
}

/** With a cluster that has these objects, all their pods ready. */
export async function usualMachine(namespace: string, objects: readonly object[], pods: number): Promise<UsualMachine> {
  const mounts: MountNamespace = await openMountNamespace(`
    mount -t tmpfs -o mode=755 tmpfs /mnt
    mknod -m 666 /mnt/tun c 10 200
    mknod -m 666 /mnt/fuse c 10 229
    mount --bind /mnt/tun /dev/net/tun
    mount --bind /mnt/fuse /dev/fuse
    mount --make-rshared /`);
  const cluster = await startCluster();
  await cluster.apply([{ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }, ...objects]);
  await vi.waitFor(
    () => {
      const slices = JSON.stringify(cluster.store.list("endpointslices.discovery.k8s.io", namespace));
      if (slices.split('"ready":true').length - 1 < pods) throw new Error("not ready yet");
    },
    { timeout: 90_000, interval: 200 },
  );
  const enter = (words: readonly string[]): string[] =>
    mounts.command(["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--", ...words]);
  const user = await newUser({ enter });
  const kubeconfig = join(user.home, "kubeconfig");
  await copyFile(cluster.kubeconfigPath, kubeconfig);
  await chmod(kubeconfig, 0o644);
  return {
    cluster,
    user,
    enter,
    where: () => ["-n", namespace, "-k", kubeconfig],
    // Its inode is the namespace's own.
    allowTun: (allowed) => chmod(`/proc/${mounts.pid}/root/mnt/tun`, allowed ? 0o666 : 0o600),
    async [Symbol.asyncDispose]() {
      await mounts[Symbol.asyncDispose]();
      await cluster.close();
      await user[Symbol.asyncDispose]();
    },
  };
}
