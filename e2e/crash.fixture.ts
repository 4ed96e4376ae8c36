import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createCloser } from "@shipside/core";
import { type Cluster, connectCluster, DEPLOYMENTS, NAMESPACES, SERVICES } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";
import { untilSaid } from "./cli.harness.ts";
import type { LeaveOptions } from "./crash/leave.ts";
import type { Machine } from "./crash.harness.ts";

export const CONTAINER = { name: "main", image: "node", env: [{ name: "GREETING", value: "hello" }] };

/** A Service, and a Deployment of one container that it selects. `volumes`: as the pod's spec has them. */
export async function makeWorkload(
  cluster: Cluster,
  name: string,
  port: number,
  container: object = CONTAINER,
  volumes: readonly object[] = [],
): Promise<void> {
  const labels = { app: name };
  await cluster.create(SERVICES, { metadata: { name }, spec: { selector: labels, ports: [{ port }] } });
  const template = { metadata: { labels }, spec: { containers: [container], volumes } };
  await cluster.create(DEPLOYMENTS, { metadata: { name }, spec: { selector: { matchLabels: labels }, template } } as never);
}

export interface KeptCluster extends AsyncDisposable {
  readonly kubeconfig: string;
  readonly cluster: Cluster;
  close(): Promise<void>;
}

/** A cluster with that namespace, which keeps what is written and makes nothing of it: what is there later than before was left. */
export async function openKeptCluster(namespace: string): Promise<KeptCluster> {
  const closer = createCloser();
  const kubeconfig = closer.use(await startCluster({ node: false, controllers: false })).kubeconfigPath;
  const cluster = closer.use(await connectCluster({ kubeconfig, namespace }));
  await cluster.create(NAMESPACES, { metadata: { name: namespace } });
  return { kubeconfig, cluster, close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
}

/** The command that leaves one of each kind of residue. */
export const leaveCommand = (options: LeaveOptions): [program: string, ...args: string[]] => [
  process.execPath,
  "--conditions=@shipside/source",
  fileURLToPath(new URL("crash/leave.ts", import.meta.url)),
  JSON.stringify(options),
];

/** Runs it on that machine until all is made, and lets it stay. */
export async function leaveOn(
  machine: Machine,
  options: Omit<LeaveOptions, "do" | "killAt" | "wait" | "stateDir">,
): Promise<ChildProcess> {
  const stateDir = join(machine.dirs.state, "shipside");
  const child = machine.spawn(leaveCommand({ ...options, stateDir, do: "make", killAt: 0, wait: true }));
  await untilSaid(child, /made/);
  return child;
}
