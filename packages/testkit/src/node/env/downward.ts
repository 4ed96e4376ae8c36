import { divideQuantity, goQuote } from "@shipside/core";
import type { KubeJson } from "../../store.ts";

/** What the node knows of a pod beyond its object. */
export interface PodFacts {
  pod: KubeJson;
  podIP: string | undefined;
  hostIP: string;
  /** What a container without limits may use. */
  allocatable: Readonly<Record<string, string>>;
}

const keyed = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/** `metadata.labels` as a downward API volume shows it: `key="value"` lines, sorted. */
const listing = (map: Record<string, string> | undefined): string =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${goQuote(value)}`)
    .join("\n");

/** The value of a `fieldRef`. Throws the kubelet's message for a path that it doesn't know. */
export function fieldValue(facts: PodFacts, fieldPath: string): string {
  const { metadata, spec } = facts.pod;
  const match = keyed.exec(fieldPath);
  if (match) return (match[1] === "labels" ? metadata.labels : metadata.annotations)?.[match[2]!] ?? "";
  switch (fieldPath) {
    case "metadata.name":
      return metadata.name;
    case "metadata.namespace":
      return metadata.namespace ?? "";
    case "metadata.uid":
      return metadata.uid;
    case "metadata.labels":
      return listing(metadata.labels);
    case "metadata.annotations":
      return listing(metadata.annotations);
    case "spec.nodeName":
      return spec.nodeName ?? "";
    case "spec.serviceAccountName":
      return spec.serviceAccountName ?? "default";
    case "status.podIP":
    case "status.podIPs":
      return facts.podIP ?? "";
    case "status.hostIP":
    case "status.hostIPs":
      return facts.hostIP;
    default:
      throw new Error(`unsupported fieldPath: ${fieldPath}`);
  }
}

/** The value of a `resourceFieldRef`, as seen by `container` where the reference names none. */
export function resourceValue(
  facts: PodFacts,
  container: string,
  ref: { resource: string; containerName?: string; divisor?: string | number },
): string {
  const name = ref.containerName || container;
  const all = [...facts.pod.spec.containers, ...(facts.pod.spec.initContainers ?? [])];
  const found = all.find((c: { name: string }) => c.name === name);
  if (!found) throw new Error(`container ${name} not found`);
  const [list, ...rest] = ref.resource.split(".");
  const resource = rest.join(".");
  if ((list !== "limits" && list !== "requests") || !resource) throw new Error(`unsupported container resource : ${ref.resource}`);
  const set = found.resources?.[list]?.[resource];
  // A limit that isn't set is what the node has; a request that isn't set is the limit, else nothing.
  const value = set ?? (list === "limits" ? (facts.allocatable[resource] ?? "0") : (found.resources?.limits?.[resource] ?? "0"));
  const divided = divideQuantity(resource, value, ref.divisor);
  if (divided === undefined) throw new Error(`${ref.resource} of container ${name}: not a quantity: ${value}`);
  return divided;
}
