import { divideQuantity } from "@shipside/core";
import type { Container, Pod, PodSpec } from "@shipside/kube";
import { envError } from "./errors.ts";

/** What the downward API can be answered from. */
export interface PodFacts {
  namespace: string;
  /** Of the pod template. */
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  spec: PodSpec;
  /** A pod that runs, where one was found. What it says goes before what the template says. */
  pod?: Pod;
  /** Of the pod's node: the limit of what has none. */
  allocatable?: Readonly<Record<string, string>>;
}

const KEYED = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/**
 * The value of a `fieldRef`, or undefined where only a running pod could say it and there is none. Throws `ENV_FIELD_UNKNOWN`.
 * Rule: API reference of `EnvVarSource.fieldRef`.
 */
export function fieldValue(facts: PodFacts, path: string): string | undefined {
  const { pod, spec } = facts;
  const [, map, key] = KEYED.exec(path) ?? [];
  if (key !== undefined) {
    const template = map === "labels" ? facts.labels : facts.annotations;
    if (!pod) return template[key];
    return (map === "labels" ? pod.metadata.labels : pod.metadata.annotations)?.[key] ?? "";
  }
  switch (path) {
    case "metadata.name":
      return pod?.metadata.name;
    case "metadata.namespace":
      return facts.namespace;
    case "metadata.uid":
      return pod?.metadata.uid;
    case "spec.nodeName":
      return pod?.spec.nodeName ?? spec.nodeName;
    case "spec.serviceAccountName":
      return (pod?.spec ?? spec).serviceAccountName ?? "default";
    case "status.hostIP":
      return pod?.status?.hostIP;
    case "status.hostIPs":
      return addresses(pod, "hostIPs") ?? pod?.status?.hostIP;
    case "status.podIP":
      return pod?.status?.podIP;
    case "status.podIPs":
      return addresses(pod, "podIPs") ?? pod?.status?.podIP;
    default:
      throw envError("ENV_FIELD_UNKNOWN", `an env can't have the field ${path}`, {
        hint: "see `kubectl explain pod.spec.containers.env.valueFrom.fieldRef`",
        details: { field: path },
      });
  }
}

function addresses(pod: Pod | undefined, key: "podIPs" | "hostIPs"): string | undefined {
  const list = (pod?.status as Record<string, Array<{ ip: string }> | undefined> | undefined)?.[key];
  return list && list.length > 0 ? list.map(({ ip }) => ip).join(",") : undefined;
}

export interface ResourceRef {
  resource: string;
  containerName?: string;
  divisor?: string;
}

/** As {@link fieldValue}, for a `resourceFieldRef`. A limit that isn't set is what the node has to give. */
export function resourceValue(facts: PodFacts, container: Container, ref: ResourceRef): string | undefined {
  const unknown = (why: string): Error =>
    envError("ENV_FIELD_UNKNOWN", `container ${container.name}: an env can't have the resource ${ref.resource}: ${why}`, {
      hint: "see `kubectl explain pod.spec.containers.env.valueFrom.resourceFieldRef`",
      details: { resource: ref.resource },
    });
  const [, list, resource = ""] = /^(limits|requests)\.(cpu|memory|ephemeral-storage|hugepages-.+)$/.exec(ref.resource) ?? [];
  if (list === undefined) throw unknown("it is not one of limits and requests of cpu, memory, ephemeral-storage, hugepages");
  const spec = facts.pod?.spec ?? facts.spec;
  const name = ref.containerName || container.name;
  const found = [...spec.containers, ...(spec.initContainers ?? [])].find((each) => each.name === name);
  if (!found) throw unknown(`there is no container ${name}`);
  const { limits, requests } = found.resources ?? {};
  // A pod (not a template) gets its limits as requests where it has none of its own.
  const value =
    list === "limits" ? (limits?.[resource] ?? nodeHas(facts, resource)) : (requests?.[resource] ?? limits?.[resource] ?? "0");
  if (value === undefined) return undefined;
  const divided = divideQuantity(resource, value, ref.divisor);
  if (divided === undefined) throw unknown(`${value} or the divisor ${ref.divisor} is not a quantity`);
  return divided;
}

const nodeHas = ({ allocatable }: PodFacts, resource: string): string | undefined => allocatable && (allocatable[resource] ?? "0");

/** Whether a container asks for something that only a running pod can say. */
export function needsPod(container: Container, facts: PodFacts): boolean {
  return (container.env ?? []).some(({ value, valueFrom }) => {
    if (value || !valueFrom) return false;
    if (valueFrom.fieldRef) return fieldValue(facts, valueFrom.fieldRef.fieldPath) === undefined;
    return valueFrom.resourceFieldRef !== undefined && resourceValue(facts, container, valueFrom.resourceFieldRef) === undefined;
  });
}
