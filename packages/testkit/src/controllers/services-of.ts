import { labelSelectorRequirements, matchesLabels } from "../api/selectors.ts";
import type { KubeJson, StoreEvent } from "../store.ts";
import type { Context } from "./context.ts";

/** The services whose endpoints a change may concern: the service itself, or those that select the pod, now or before. */
export function servicesOf(context: Context, { type, resource, object, previous }: StoreEvent): KubeJson[] {
  if (resource === "services") return [object];
  if (resource !== "pods") return [];
  if (type === "MODIFIED" && previous && sameForServices(object, previous)) return [];
  return context
    .selecting(object)
    .concat(previous && previous.metadata.labels !== object.metadata.labels ? context.selecting(previous) : []);
}

const sameForServices = (a: KubeJson, b: KubeJson): boolean =>
  a["status"] === b["status"] &&
  a["spec"] === b["spec"] &&
  a.metadata.labels === b.metadata.labels &&
  a.metadata.deletionTimestamp === b.metadata.deletionTimestamp;

/** Finds services by the labels of a pod, by way of one of the pairs in their selectors. */
export interface ServiceIndex {
  observe(event: StoreEvent): void;
  selecting(pod: KubeJson): KubeJson[];
}

export function createServiceIndex(services: readonly KubeJson[]): ServiceIndex {
  const byPair = new Map<string, Map<string, KubeJson>>();
  const pairOf = (service: KubeJson): string | undefined => {
    const first = Object.entries<string>(service["spec"].selector ?? {})[0];
    return first && `${service.metadata.namespace}/${first[0]}=${first[1]}`;
  };
  const add = (service: KubeJson): void => {
    const pair = pairOf(service);
    if (pair === undefined) return;
    const known = byPair.get(pair) ?? new Map<string, KubeJson>();
    byPair.set(pair, known.set(service.metadata.name, service));
  };
  for (const service of services) add(service);
  return {
    observe({ type, resource, object, previous }) {
      if (resource !== "services") return;
      const before = previous && pairOf(previous);
      if (before !== undefined) {
        const known = byPair.get(before);
        known?.delete(object.metadata.name);
        if (known?.size === 0) byPair.delete(before);
      }
      if (type !== "DELETED") add(object);
    },
    selecting({ metadata }) {
      const out: KubeJson[] = [];
      for (const [key, value] of Object.entries(metadata.labels ?? {})) {
        for (const service of byPair.get(`${metadata.namespace}/${key}=${value}`)?.values() ?? []) {
          const requirements = labelSelectorRequirements({ matchLabels: service["spec"].selector })!;
          if (matchesLabels(requirements, metadata.labels)) out.push(service);
        }
      }
      return out;
    },
  };
}
