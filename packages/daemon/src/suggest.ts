import {
  type Cluster,
  type ConnectOptions,
  connectCluster,
  listContexts,
  NAMESPACES,
  SERVICES,
  WORKLOAD_TYPES,
} from "@shipside/kube";

type Where = Pick<ConnectOptions, "kubeconfig" | "context" | "namespace">;

/** A shell's completion waits for it. */
const ANSWER_MS = 2_000;
/** With the credentials, and the code that gets them: a busy machine loads it slowly, and has its answer's time all the same. */
const ALL_MS = 6_000;

async function ask<T>(where: Where, question: (cluster: Cluster, signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(ALL_MS);
  await using cluster = await connectCluster({ ...where, signal, requestTimeoutMs: ANSWER_MS });
  return await question(cluster, signal);
}

/** Names for a shell to complete. All of these reject where they can't be had; whoever completes shows nothing then. */
export async function suggestContexts(kubeconfig: string | undefined): Promise<string[]> {
  return (await listContexts(kubeconfig === undefined ? {} : { kubeconfig })).map(({ name }) => name);
}

/** `shop` and so on. */
export async function suggestNamespaces(where: Where): Promise<string[]> {
  const namespaces = await ask(where, (cluster, signal) => cluster.list(NAMESPACES, { signal }));
  return namespaces.map(({ metadata }) => metadata.name).sort();
}

/** `service/core` and so on. */
export async function suggestServices(where: Where): Promise<string[]> {
  const services = await ask(where, (cluster, signal) => cluster.list(SERVICES, { namespace: cluster.info.namespace, signal }));
  return services.map(({ metadata }) => `service/${metadata.name}`).sort();
}

/** `deployment/core` and so on, without what another workload has made. */
export async function suggestWorkloads(where: Where): Promise<string[]> {
  const lists = await ask(where, (cluster, signal) =>
    Promise.allSettled(
      WORKLOAD_TYPES.map(async (type) => {
        const objects = await cluster.list(type, { namespace: cluster.info.namespace, signal });
        return objects
          .filter(({ metadata }) => !metadata.ownerReferences?.some(({ controller }) => controller))
          .map(({ metadata }) => `${type.kind.toLowerCase()}/${metadata.name}`);
      }),
    ),
  );
  return lists.flatMap((list) => (list.status === "fulfilled" ? list.value : [])).sort();
}
