import type { Json } from "../../json.ts";
import type { KubeJson, Store } from "../../store.ts";
import { list } from "../kinds/strategy.ts";
import type { Resource } from "../resources.ts";
import { type Amounts, addAmounts, countOf, parseAmount, podAmounts } from "./amounts.ts";

/** Kinds that a quota counts under a short name, besides `count/<resource>.<group>` of every kind. */
const SHORT = new Set([
  "configmaps",
  "persistentvolumeclaims",
  "pods",
  "replicationcontrollers",
  "resourcequotas",
  "secrets",
  "services",
]);

/** Pods that have ended use nothing but their own object. */
const hasEnded = (pod: Json): boolean => ["Succeeded", "Failed"].includes(pod.status?.phase);

/** What one object takes of a quota, by the names that quotas use. */
export function usageOf({ key, plural }: Resource, object: Json): Amounts {
  const used: Amounts = new Map([[`count/${key}`, countOf(1)]]);
  if (key === "pods" && hasEnded(object)) return used;
  if (SHORT.has(key)) used.set(plural, countOf(1));
  if (key === "services") {
    const { type, ports, allocateLoadBalancerNodePorts } = object.spec ?? {};
    const balanced = type === "LoadBalancer";
    if (balanced) used.set("services.loadbalancers", countOf(1));
    if (type === "NodePort" || (balanced && allocateLoadBalancerNodePorts !== false))
      used.set("services.nodeports", countOf(list(ports).length));
  } else if (key === "persistentvolumeclaims") {
    const storage = object.spec?.resources?.requests?.storage;
    const { storageClassName } = object.spec ?? {};
    const of = `${storageClassName}.storageclass.storage.k8s.io`;
    if (storage) used.set("requests.storage", parseAmount(storage));
    if (storageClassName) used.set(`${of}/persistentvolumeclaims`, countOf(1));
    if (storageClassName && storage) used.set(`${of}/requests.storage`, parseAmount(storage));
  } else if (key === "pods") {
    for (const [name, amount] of podAmounts(object.spec, "requests")) {
      used.set(`requests.${name}`, amount);
      if (COMPUTE.has(name)) used.set(name, amount);
    }
    for (const [name, amount] of podAmounts(object.spec, "limits")) used.set(`limits.${name}`, amount);
  }
  return used;
}

const COMPUTE = new Set(["cpu", "memory", "ephemeral-storage"]);

/** Whether the quota's scopes take an object in; those of other kinds than pods have none. */
export function inScope(quota: Json, resource: Resource, object: Json): boolean {
  const selectors = [
    ...list(quota.spec?.scopes).map((scopeName) => ({ scopeName, operator: "Exists", values: undefined })),
    ...list(quota.spec?.scopeSelector?.matchExpressions),
  ];
  if (selectors.length === 0) return true;
  if (resource.key !== "pods") return false;
  const { spec } = object;
  const bestEffort = podAmounts(spec, "requests").size === 0 && podAmounts(spec, "limits").size === 0;
  return selectors.every(({ scopeName, operator, values }) => {
    switch (scopeName) {
      case "BestEffort":
        return bestEffort;
      case "NotBestEffort":
        return !bestEffort;
      case "Terminating":
        return spec.activeDeadlineSeconds !== undefined;
      case "NotTerminating":
        return spec.activeDeadlineSeconds === undefined;
      case "PriorityClass":
        if (operator === "Exists") return Boolean(spec.priorityClassName);
        if (operator === "DoesNotExist") return !spec.priorityClassName;
        return list(values).includes(spec.priorityClassName) === (operator === "In");
      default:
        return false;
    }
  });
}

/** What the namespace's objects use of what the quota limits, `except` not counted. */
export function usedOf(store: Store, resources: readonly Resource[], quota: KubeJson, except?: string): Amounts {
  const names = Object.keys(quota["spec"]?.hard ?? {});
  const used: Amounts = new Map(names.map((name) => [name, countOf(0)]));
  for (const resource of resources) {
    if (!resource.namespaced || !names.some((name) => concerns(name, resource))) continue;
    for (const object of store.list(resource.key, quota.metadata.namespace)) {
      if (object.metadata.uid === except || !inScope(quota, resource, object)) continue;
      for (const [name, amount] of usageOf(resource, object)) if (used.has(name)) addAmounts(used, new Map([[name, amount]]));
    }
  }
  return used;
}

/** Whether a name in a quota is about objects of this kind. */
export function concerns(name: string, { key, plural }: Pick<Resource, "key" | "plural">): boolean {
  if (name.startsWith("count/")) return name === `count/${key}`;
  if (name === plural && SHORT.has(key)) return true;
  if (key === "services") return name.startsWith("services.");
  if (key === "persistentvolumeclaims") return name === "requests.storage" || name.includes(".storageclass.storage.k8s.io/");
  return key === "pods" && (COMPUTE.has(name) || (/^(requests|limits)\./.test(name) && name !== "requests.storage"));
}
