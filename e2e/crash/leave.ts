/**
 * A process that leaves one of each kind of residue, as a session does, and then undoes it; killed at the step that it is told.
 * Its argument is a `LeaveOptions` as JSON.
 */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import {
  createSessionHost,
  type Journal,
  type JsonPatch,
  makeClusterObject,
  makeClusterPatch,
  makeDirectory,
  makeMount,
  makeProcess,
  openJournal,
  recover,
} from "@shipside/daemon";
import { type Cluster, CONFIG_MAPS, connectCluster, SERVICES } from "@shipside/kube";
import { endIntercept } from "@shipside/proxy";

export interface LeaveOptions {
  /** Makes and undoes, or undoes what another has left. */
  do: "make" | "recover";
  stateDir: string;
  /** A hosts file; the machine's own without one. */
  hosts?: string;
  folder: string;
  kubeconfig: string;
  namespace: string;
  /** Unique in the namespace: a service of this name is there. */
  name: string;
  /** The step at which it is killed, from 1; 0: never; "made": when all is made and nothing undone. */
  killAt: number | "made";
  /** Does nothing more when all is made. */
  wait?: boolean;
  mount: boolean;
  /** The workload's volumes are in a folder of the session's. */
  volumes?: boolean;
  /** Also this service is intercepted, by a relay of the same name. */
  intercepted?: string;
}

const options = JSON.parse(process.argv[2] ?? "{}") as LeaveOptions;
const { stateDir, hosts, folder, kubeconfig, namespace, name, killAt } = options;
let steps = 0;
const onStep = (): void => {
  if (++steps === killAt) process.kill(process.pid, "SIGKILL");
};

const replaced = (from: string, to: string): JsonPatch => [
  { op: "test", path: "/spec/selector/app", value: from },
  { op: "replace", path: "/spec/selector/app", value: to },
];

/** As the proxy does it: on record first, then the Service is switched. Returns what ends it. */
async function intercept(cluster: Cluster, journal: Journal, name: string): Promise<() => Promise<void>> {
  const { metadata, spec } = await cluster.get(SERVICES, { name });
  const original = spec.selector ?? {};
  const switched = Object.fromEntries(Object.keys(original).map((key) => [key, "relay"]));
  const trace = { namespace, service: name, uid: metadata.uid ?? "", relay: name, lease: "x" };
  const { context, server } = cluster.info;
  const undone = await journal.record(
    { kind: "intercept", data: { kubeconfig, context, server: new URL(server).href, ...trace } },
    "left",
  );
  const record = JSON.stringify({ relay: name, original, switched });
  const change = { metadata: { annotations: { "shipside.dev/intercept": record } }, spec: { selector: switched } };
  await cluster.patch(SERVICES, { name }, change, { kind: "merge" });
  return async () => {
    await endIntercept(cluster, trace, AbortSignal.timeout(10_000));
    await undone();
  };
}

if (options.do === "recover") {
  // A machine that is busy with other tests is no cluster that is away.
  const { failed } = await recover({ stateDir, onStep, connections: { requestTimeoutMs: 60_000 } });
  for (const { error } of failed) throw error;
} else {
  const closer = createCloser();
  const cluster = closer.use(await connectCluster({ kubeconfig, namespace }));
  const place = { cluster, kubeconfig };
  const session = "left";
  const journal = openJournal(stateDir, { onStep });
  const host = closer.use(createSessionHost({ stateDir, journal, ...(hosts !== undefined && { hosts: { path: hosts } }) }));
  // The session itself: names, addresses, listeners, an env file, a folder of volumes.
  const { release } = await host.open({
    workload: `deployment/${name}`,
    ...{ namespace, kubeconfig, envFile: { path: join(folder, ".env") } },
    ...(options.volumes && { mount: { dir: join(folder, "root") } }),
  });
  closer.defer(release);
  const directory = await makeDirectory(journal, name);
  closer.defer(directory.remove);
  const { metadata } = await cluster.get(SERVICES, { name });
  const relay = await makeClusterObject(journal, place, CONFIG_MAPS, { metadata: { name: `relay-${name}` } }, session);
  closer.defer(relay.remove);
  const change = await makeClusterPatch(
    journal,
    place,
    SERVICES,
    { ref: { name }, uid: metadata.uid!, change: replaced(name, "relay"), undo: replaced("relay", name) },
    session,
  );
  closer.defer(change.revert);
  const sleeper = await makeProcess(
    journal,
    "sleep",
    async (env) => {
      const child = spawn("sleep", ["300"], { env: { ...process.env, ...env, SLEEPER: name }, stdio: "ignore" });
      await once(child, "spawn");
      return child;
    },
    session,
  );
  closer.defer(sleeper.end);
  if (options.mount) {
    const tmpfs = async (path: string): Promise<void> => void execFileSync("mount", ["-t", "tmpfs", "shipside-test", path]);
    const mounted = await makeMount(journal, { path: join(folder, "data"), source: "shipside-test" }, tmpfs, session);
    closer.defer(mounted.remove);
  }
  if (options.intercepted !== undefined) closer.defer(await intercept(cluster, journal, options.intercepted));
  if (killAt === "made") process.kill(process.pid, "SIGKILL");
  process.stdout.write("made\n");
  if (options.wait) {
    setInterval(() => {}, 60_000);
    await new Promise(() => {});
  }
  await closer.close();
}
process.stdout.write(`${steps} steps\n`);
process.exit(0);
