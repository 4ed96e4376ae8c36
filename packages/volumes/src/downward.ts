import { divideQuantity, goQuote } from "@shipside/core";
import type { Pod, PodSpec } from "@shipside/kube";
import { volumesError } from "./errors.ts";

/** What the downward API is answered from. */
export interface PodFacts {
  namespace: string;
  spec: PodSpec;
  /** One that runs, where there is one. */
  pod?: Pod;
  /** What the pod's node has to give, where it is known. */
  allocatable?: Readonly<Record<string, string>>;
}

const KEYED = /^metadata\.(labels|annotations)\['(.+)'\]$/;

/**
 * The text of a `fieldRef` in a file, or undefined where only a running pod could say it. Throws `VOLUMES_FIELD_UNKNOWN`.
 * Rule: API reference of `DownwardAPIVolumeFile`.
 */
export function fieldText({ namespace, spec, pod }: PodFacts, path: string): string | undefined {
  const [, map, key] = KEYED.exec(path) ?? [];
  if (key !== undefined) return pod && (mapOf(pod, map!)[key] ?? "");
  switch (path) {
    case "metadata.namespace":
      return namespace;
    case "metadata.name":
      return pod?.metadata.name;
    case "metadata.uid":
      return pod?.metadata.uid;
    case "metadata.labels":
    case "metadata.annotations":
      return pod && lines(mapOf(pod, path.slice("metadata.".length)));
    case "spec.serviceAccountName":
      return (pod?.spec ?? spec).serviceAccountName ?? "default";
    default:
      throw volumesError("VOLUMES_FIELD_UNKNOWN", `a file can't have the field ${path}`, {
        hint: "see `kubectl explain pod.spec.volumes.downwardAPI.items.fieldRef`",
        details: { field: path },
      });
  }
}

const mapOf = ({ metadata }: Pod, name: string): Record<string, string> =>
  (name === "labels" ? metadata.labels : metadata.annotations) ?? {};

/** `key="value"` a line, by key. */
const lines = (map: Record<string, string>): string =>
  Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${goQuote(value)}`)
    .join("\n");

export interface ResourceRef {
  resource: string;
  containerName?: string;
  divisor?: string | number;
}

/** As {@link fieldText}, for a `resourceFieldRef`. A limit that isn't set is what the node has: undefined where that isn't known. */
export function resourceText(
  { spec, pod, allocatable }: PodFacts,
  { resource, containerName, divisor }: ResourceRef,
): string | undefined {
  const unknown = (why: string): Error =>
    volumesError("VOLUMES_FIELD_UNKNOWN", `a file can't have the resource ${resource} of container ${containerName}: ${why}`, {
      hint: "see `kubectl explain pod.spec.volumes.downwardAPI.items.resourceFieldRef`",
      details: { resource },
    });
  const of = pod?.spec ?? spec;
  const container = [...of.containers, ...(of.initContainers ?? [])].find(({ name }) => name === containerName);
  if (!container) throw unknown("there is no such container");
  const [, list, name = ""] = /^(limits|requests)\.(.+)$/.exec(resource) ?? [];
  if (list === undefined) throw unknown("it is neither of limits nor of requests");
  const { limits, requests } = container.resources ?? {};
  const amount =
    list === "limits"
      ? (limits?.[name] ?? (allocatable && (allocatable[name] ?? "0")))
      : (requests?.[name] ?? limits?.[name] ?? "0");
  if (amount === undefined) return undefined;
  const text = divideQuantity(name, amount, divisor);
  if (text === undefined) throw unknown(`${amount} or the divisor ${divisor} is not a quantity`);
  return text;
}
