import { type ConnectOptions, connectCluster, listContexts, NAMESPACES, SERVICES, WORKLOAD_TYPES } from "@shipside/kube";

type Where = Pick<ConnectOptions, "kubeconfig" | "context" | "namespace">;

/** A shell's completion waits for it. */
const TIMEOUT_MS = 2_000;

/** Names for a shell to complete. They reject where they can't be had; whoever completes shows nothing then. */
export async function suggestContexts(kubeconfig: string | undefined): Promise<string[]> {
  return (await listContexts(kubeconfig === undefined ? {} : { kubeconfig })).map(({ name }) => name);
}

export async function suggestNamespaces(where: Where): Promise<string[]> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await using cluster = await connectCluster({ ...where, signal });
  return (await cluster.list(NAMESPACES, { signal })).map(({ metadata }) => metadata.name).sort();
}

/** `service/core` and so on. */
export async function suggestServices(where: Where): Promise<string[]> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await using cluster = await connectCluster({ ...where, signal });
  const services = await cluster.list(SERVICES, { namespace: cluster.info.namespace, signal });
  return services.map(({ metadata }) => `service/${metadata.name}`).sort();
}

/** `deployment/core` and so on, without what another workload has made. */
export async function suggestWorkloads(where: Where): Promise<string[]> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  await using cluster = await connectCluster({ ...where, signal });
  const { namespace } = cluster.info;
  const lists = await Promise.allSettled(
    WORKLOAD_TYPES.map(async (type) => {
      const objects = await cluster.list(type, { namespace, signal });
      return objects
        .filter(({ metadata }) => !metadata.ownerReferences?.some(({ controller }) => controller))
        .map(({ metadata }) => `${type.kind.toLowerCase()}/${metadata.name}`);
    }),
  );
  return lists.flatMap((list) => (list.status === "fulfilled" ? list.value : [])).sort();
}
