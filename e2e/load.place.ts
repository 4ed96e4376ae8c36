import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { createCloser } from "@shipside/core";
import { type Cluster, connectCluster, type KubeObject, NAMESPACES, type ResourceType, type Watch } from "@shipside/kube";
import { type EmbeddedCluster, type KubeJson, startCluster } from "@shipside/testkit";
import { USERS_KINDS } from "./incoming.fixture.ts";
import { kubectls } from "./kubectl/binaries.ts";
import { countingProxy } from "./tunnel.fixture.ts";

type Closer = ReturnType<typeof createCloser>;

/** A cluster in which things can be made to go wrong. */
export interface Place {
  readonly kubeconfigPath: string;
  /** A developer's, whose network can be cut. */
  readonly cluster: Cluster;
  /** Undefined for a given cluster. */
  readonly embedded: EmbeddedCluster | undefined;
  /** Where pods find the program that makes the load, and what of their spec it takes. */
  readonly generator: { path: string; container: object; pod: object; objects: object[] };
  apply(objects: readonly object[]): Promise<void>;
  /** As it is now, or a moment ago, in the namespace. */
  list(kind: string): readonly KubeJson[];
  exec(pod: string, command: readonly string[], stdin: boolean): Promise<Running>;
  /** SIGKILL to its processes. */
  killPod(pod: string): Promise<void>;
  /** What goes between the developer and the cluster stands still. */
  cutNetwork(): () => void;
}

export interface Running {
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  exited: Promise<number | null>;
}

const generator = fileURLToPath(new URL("./load/generator.ts", import.meta.url));

export async function embeddedPlace(closer: Closer, namespace: string, others: readonly string[]): Promise<Place> {
  const embedded = closer.use(await startCluster({ node: { others } }));
  const { store, node, faults, kubeconfigPath } = embedded;
  return {
    kubeconfigPath,
    cluster: closer.use(await connectCluster({ kubeconfig: kubeconfigPath, namespace })),
    embedded,
    generator: { path: generator, container: {}, pod: {}, objects: [] },
    apply: async (objects) => void (await embedded.apply(objects)),
    list: (kind) => store.list(kind, namespace),
    async exec(pod, command, stdin) {
      const {
        stdin: input,
        stdout,
        stderr,
        exited,
      } = await node!.exec(namespace, pod, { command: [...command], stdin, tty: false });
      return { stdin: input, stdout, stderr, exited };
    },
    killPod: async (pod) => faults.killPod(namespace, pod),
    cutNetwork: () => faults.freeze("portforward"),
  };
}

/** Of a cluster that is there, a namespace of its own, gone with it. Pods can be killed where this machine is their node. */
export async function givenPlace(closer: Closer, namespace: string, kubeconfig: string): Promise<Place> {
  const found = (await kubectls()).found.sort((a, b) => b.minor - a.minor)[0];
  if (!found) throw new Error("no kubectl could be had: `e2e/kubectl/binaries.ts` says where it is looked for");
  const admin = closer.use(await connectCluster({ kubeconfig, namespace }));
  await admin.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } } as KubeObject);
  closer.defer(() => admin.delete(NAMESPACES, { name: namespace }));
  const kubectl = (args: readonly string[]) =>
    spawn(found.path, ["--kubeconfig", kubeconfig, "-n", namespace, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  const watches = new Map<string, Watch<KubeObject>>();
  for (const kind of [...USERS_KINDS, "pods", "endpointslices.discovery.k8s.io"])
    watches.set(kind, closer.use(admin.watch(typeOf(kind), { namespace })));
  await Promise.all([...watches.values()].map(({ synced }) => synced));
  const proxy = await countingProxy(kubeconfig);
  closer.defer(() => proxy[Symbol.asyncDispose]());
  const list: Place["list"] = (kind) => [...watches.get(kind)!.items.values()].sort(byName) as unknown as KubeJson[];
  const text = await readFile(generator, "utf8");
  return {
    kubeconfigPath: kubeconfig,
    cluster: closer.use(await connectCluster({ kubeconfig: proxy.kubeconfig, namespace })),
    embedded: undefined,
    generator: {
      path: "/load/generator.ts",
      container: { volumeMounts: [{ name: "load", mountPath: "/load" }] },
      pod: { volumes: [{ name: "load", configMap: { name: "load" } }] },
      objects: [{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "load", namespace }, data: { "generator.ts": text } }],
    },
    async apply(objects) {
      const child = kubectl(["apply", "-f", "-"]);
      child.stdin.end(JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }));
      child.stdout.resume();
      let said = "";
      child.stderr.on("data", (chunk) => {
        said += chunk;
      });
      const [code] = await once(child, "close");
      if (code !== 0) throw new Error(said);
    },
    list,
    async exec(pod, command, stdin) {
      const child = kubectl(["exec", ...(stdin ? ["-i"] : []), pod, "--", ...command]);
      return { ...pick(child), exited: once(child, "exit").then(([code]) => code as number | null) };
    },
    async killPod(pod) {
      const pids = await processesOf(
        list("pods").find(({ metadata }) => metadata.name === pod)?.["status"]?.containerStatuses ?? [],
      );
      if (pids.length === 0) throw new Error(`this machine isn't the node of ${pod}, and so can't kill it`);
      for (const pid of pids) process.kill(pid, "SIGKILL");
    },
    cutNetwork: () => proxy.silence(),
  };
}

const byName = (a: KubeObject, b: KubeObject): number => (a.metadata.name < b.metadata.name ? -1 : 1);
const pick = ({ stdin, stdout, stderr }: Omit<Running, "exited">) => ({ stdin, stdout, stderr });

/** `roles.rbac.authorization.k8s.io`; all that is looked at is of version 1. */
function typeOf(kind: string): ResourceType<KubeObject> {
  const [plural, ...group] = kind.split(".") as [string, ...string[]];
  return { group: group.join("."), version: "v1", plural, kind: plural, namespaced: true, shortNames: [] };
}

/** By their cgroup. The one that only holds the pod's namespaces is of none of them: without it the pod's network would be gone too. */
async function processesOf(containers: ReadonlyArray<{ containerID?: string }>): Promise<number[]> {
  const ids = containers.flatMap(({ containerID }) => containerID?.replace(/^.*:\/\//, "") || []);
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const own = await Promise.all(
    pids.map(async (pid) => {
      const cgroup = await readFile(`/proc/${pid}/cgroup`, "utf8").catch(() => "");
      return ids.some((id) => cgroup.includes(id));
    }),
  );
  return pids.filter((_pid, i) => own[i]).map(Number);
}
