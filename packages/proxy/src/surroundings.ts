import { hasCode } from "@shipside/core";
import {
  type Cluster,
  type KubeObject,
  mayI,
  NAMESPACES,
  PODS,
  type ResourceType,
  type Service,
  selectorString,
} from "@shipside/kube";
import type { LimitRange, NetworkPolicy, ResourceQuota, Surroundings } from "./obstacle.ts";

const type = <T extends KubeObject>(group: string, plural: string, kind: string): ResourceType<T> => ({
  group,
  version: "v1",
  plural,
  kind,
  namespaced: true,
  shortNames: [],
});
const NETWORK_POLICIES = type<NetworkPolicy>("networking.k8s.io", "networkpolicies", "NetworkPolicy");
const RESOURCE_QUOTAS = type<ResourceQuota>("", "resourcequotas", "ResourceQuota");
const LIMIT_RANGES = type<LimitRange>("", "limitranges", "LimitRange");

/** Reads what stands around a Service. What may not be read is left empty: it isn't needed, only good to know. */
export async function readSurroundings(
  cluster: Cluster,
  service: Service,
  signal: AbortSignal,
): Promise<Pick<Surroundings, "namespace" | "pods" | "policies" | "quotas" | "limits">> {
  const namespace = service.metadata.namespace!;
  const list = async <T extends KubeObject>(kind: ResourceType<T>, labelSelector?: string): Promise<T[]> =>
    (await readable(cluster.list(kind, { namespace, signal, ...(labelSelector !== undefined && { labelSelector }) }))) ?? [];
  const { selector = {} } = service.spec;
  const [own, pods, policies, quotas, limits] = await Promise.all([
    readable(cluster.get(NAMESPACES, { name: namespace }, { signal })),
    Object.keys(selector).length > 0 ? list(PODS, selectorString({ matchLabels: selector })) : [],
    list(NETWORK_POLICIES),
    list(RESOURCE_QUOTAS),
    list(LIMIT_RANGES),
  ]);
  return { namespace: own, pods, policies, quotas, limits };
}

async function readable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, "KUBE_FORBIDDEN", "KUBE_KIND_UNKNOWN", "KUBE_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Whether the user may give the relay a ServiceAccount with the rights to restore the Service and remove itself. The built-in role `edit` can't. */
export async function mayGrantRights(cluster: Cluster, namespace: string, signal: AbortSignal): Promise<boolean> {
  const group = "rbac.authorization.k8s.io";
  const answers = await Promise.all(
    ["roles", "rolebindings"].map((resource) => mayI(cluster, { verb: "create", group, resource, namespace }, { signal })),
  );
  return answers.every(({ allowed }) => allowed);
}
