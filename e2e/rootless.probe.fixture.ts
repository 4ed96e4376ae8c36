import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmod, chown, copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import { type Cluster, connectCluster, isReady, PODS } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";
import { expect, vi } from "vitest";
import type { Ran } from "./cli.harness.ts";
import { kubectls } from "./kubectl/binaries.ts";
import { type Machine, newMachine } from "./root.harness.ts";
import { dnsManifests, manifests } from "./rootless.probe.manifests.ts";

/** CoreDNS, a static binary: where it is given, pods have it for their DNS. An embedded cluster's pods have none else. */
const COREDNS = process.env["SHIPSIDE_E2E_COREDNS"];
const GIVEN = process.env["SHIPSIDE_E2E_KUBECONFIG"];

export interface ProbeWorld extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly home: string;
  readonly other: string;
  /** The user's own. */
  readonly kubeconfig: string;
  readonly kubectl: string;
  /** With a user who has no root, and where anybody may open /dev/fuse and /dev/net/tun. */
  readonly machine: Machine;
  /** A cluster of this process. */
  readonly embedded: boolean;
  /** The address of the pods' DNS, where they have one. */
  readonly dns: string | undefined;
  /** Runs a command in a pod's container. Rejects where its exit code isn't 0. */
  inPod(app: string, command: readonly string[]): Promise<string>;
  /** The same in the probe's, whose names come from that DNS, as in any cluster. */
  asInPod(command: readonly string[]): Promise<string>;
  /** Runs a command as the user by `shipside run deployment/probe`. */
  run(options: readonly string[], command: readonly string[]): Promise<Ran>;
  /** The address of a service. */
  address(namespace: string, name: string): Promise<string>;
  podAddress(name: string): Promise<string>;
}

/** Shell scripts that run their arguments where `$0` is the resolv.conf. A kubelet's may be written. */
const WRITTEN = `printf %s "$0" > /etc/resolv.conf; exec "$@"`;
/** An embedded node's may not; and its hosts file, which stands in for a DNS, has the cluster's names below the kubelet's lines. */
const MOUNTED = `
set -e
printf %s "$0" > /tmp/resolv.conf; sed '/^# The cluster/,$d' /etc/hosts > /tmp/hosts
exec unshare --mount --propagation unchanged sh -ec 'for file in resolv.conf hosts; do mount --bind "/tmp/$file" "/etc/$file"; done; exec "$@"' sh "$@"`;

/** The cluster of `SHIPSIDE_E2E_KUBECONFIG`, else an embedded one, with the probe's workloads in namespaces of their own. */
export async function probeWorld(): Promise<ProbeWorld> {
  const closer = createCloser();
  try {
    const { found, missing } = await kubectls();
    const kubectl = found[0]?.path;
    if (kubectl === undefined) throw new Error(`no kubectl: ${missing.join("; ")}`);
    const kubeconfig = GIVEN ?? closer.use(await startCluster()).kubeconfigPath;
    const suffix = randomBytes(3).toString("hex");
    const [home, other] = [`shop-${suffix}`, `stock-${suffix}`];
    const directory = await mkdtemp(join(tmpdir(), "shipside-probe-"));
    await chmod(directory, 0o777);
    closer.defer(() => rm(directory, { recursive: true, force: true }));
    const objects = [...manifests({ home, other, directory }), ...(COREDNS ? dnsManifests(home, COREDNS) : [])];
    const run = (words: readonly string[], input = ""): Promise<string> =>
      new Promise((resolve, reject) => {
        const child = execFile(kubectl, ["--kubeconfig", kubeconfig, ...words], (error, stdout, stderr) =>
          error ? reject(new Error(`kubectl ${words.join(" ")}: ${stderr}`, { cause: error })) : resolve(stdout),
        );
        child.stdin!.end(input);
      });
    const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: objects });
    if (GIVEN) closer.defer(() => run(["delete", "--wait=false", "-f", "-"], list));
    await run(["apply", "-f", "-"], list);

    const cluster = closer.use(await connectCluster({ kubeconfig, namespace: home }));
    await vi.waitFor(
      async () => {
        const pods = (await Promise.all([home, other].map((namespace) => cluster.list(PODS, { namespace })))).flat();
        const ready = pods.filter(isReady).map(({ metadata }) => metadata.labels?.["app"]);
        expect(ready.sort()).toEqual(["db", "db", ...(COREDNS ? ["dns"] : []), "probe", "web", "web"]);
      },
      { timeout: 90_000, interval: 250 },
    );
    const machine = await newMachine();
    closer.defer(() => machine[Symbol.asyncDispose]());
    await machine.sh(`
      mknod -m 666 /mnt/fuse c 10 229; mount --bind /mnt/fuse /dev/fuse
      mknod -m 666 /mnt/tun c 10 200; mount --bind /mnt/tun /dev/net/tun
      mount --make-rshared /`);
    const own = join(machine.home, "kubeconfig");
    await copyFile(kubeconfig, own);
    await chown(own, machine.uid, machine.gid);

    const pod = async (app: string): Promise<{ namespace: string; name: string }> => {
      const [one] = await cluster.list(PODS, { namespace: home, labelSelector: `app=${app}` });
      return { namespace: home, name: one!.metadata.name };
    };
    const inPod: ProbeWorld["inPod"] = async (app, command) => {
      const { exitCode, stdout, stderr } = await cluster.exec(await pod(app), command);
      if (exitCode !== 0) throw new Error(`${command.slice(0, 2).join(" ")} in ${app} ended with ${exitCode}: ${stderr}`);
      return stdout.toString();
    };
    const address = async (namespace: string, name: string): Promise<string> =>
      (await run(["get", "service", name, "-n", namespace, "-o", "jsonpath={.spec.clusterIP}"])).trim();
    const dns = COREDNS && (await address(home, "dns"));
    const conf = `search ${home}.svc.cluster.local svc.cluster.local cluster.local\nnameserver ${dns}\noptions ndots:5\n`;
    const asInPod: ProbeWorld["asInPod"] = (command) =>
      inPod("probe", dns === undefined ? command : ["sh", "-c", GIVEN ? WRITTEN : MOUNTED, conf, ...command]);
    return {
      ...{ cluster, home, other, kubeconfig: own, kubectl, machine, embedded: GIVEN === undefined, dns, inPod, asInPod, address },
      run: (options, command) => machine.run(["run", "deployment/probe", ...options, "-n", home, "-k", own, "--", ...command]),
      podAddress: async (name) => (await run(["get", "pod", name, "-n", home, "-o", "jsonpath={.status.podIP}"])).trim(),
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}
