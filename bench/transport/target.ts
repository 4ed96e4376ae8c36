import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Closer, createCloser } from "@shipside/core";
import { type Cluster, connectCluster, isReady, NAMESPACES, PODS, type Pod } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { programPod } from "./program.ts";

/** A cluster with a pod that runs the program, in a namespace of its own. */
export interface ProgramTarget extends AsyncDisposable {
  kubeconfig: string;
  namespace: string;
  pod: string;
  image: string;
  cluster: Cluster;
  /** Undefined where it is another cluster than the embedded one. */
  embedded: EmbeddedCluster | undefined;
  /** Another pod like it, ready. */
  addPod(name: string): Promise<void>;
}

export interface ProgramTargetOptions {
  /** Default: an embedded cluster in this process. */
  kubeconfig: string | undefined;
  /** Default `node:24`. */
  image?: string | undefined;
}

const READY_MS = 60_000;

export async function startTarget({ kubeconfig, image = "node:24" }: ProgramTargetOptions): Promise<ProgramTarget> {
  const closer = createCloser();
  try {
    const embedded = kubeconfig === undefined ? closer.use(await startCluster()) : undefined;
    const path = kubeconfig ?? embedded!.kubeconfigPath;
    const namespace = `shipside-transport-${randomBytes(4).toString("hex")}`;
    const cluster = closer.use(await connectCluster({ kubeconfig: path, namespace }));
    await cluster.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
    closer.defer(() => cluster.delete(NAMESPACES, { name: namespace }));
    const addPod = (name: string): Promise<void> => runPod(cluster, closer, name, image);
    await addPod("program");
    return {
      kubeconfig: path,
      namespace,
      pod: "program",
      image,
      cluster,
      embedded,
      addPod,
      [Symbol.asyncDispose]: () => closer.close(),
    };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

async function runPod(cluster: Cluster, closer: Closer, name: string, image: string): Promise<void> {
  await cluster.create(PODS, programPod(name, image) as Pod);
  closer.defer(() => cluster.delete(PODS, { name }, { gracePeriodSeconds: 0 }));
  const deadline = Date.now() + READY_MS;
  while (!isReady(await cluster.get(PODS, { name }))) {
    if (Date.now() > deadline) throw new Error(`pod ${name} was not ready within ${READY_MS} ms`);
    await sleep(100);
  }
}
