import type { KubeJson } from "../../store.ts";

export interface Backend {
  ip: string;
  port: number;
}

/** One port of a service and what serves it now. */
export interface ServiceRoute {
  /** The port's number on the service's address. */
  port: number;
  protocol: "TCP" | "UDP";
  backends: Backend[];
  /** How long a client keeps its backend, in milliseconds; 0: it doesn't. */
  affinityMs: number;
  /** It is served outside the pods' network, by the node's own process. */
  handOver?: boolean;
}

/**
 * What kube-proxy makes of a service and its EndpointSlices: ready endpoints, or where there are none, those that still serve while
 * they end.
 */
export function serviceRoutes(service: KubeJson, slices: readonly KubeJson[]): ServiceRoute[] {
  const spec = service["spec"];
  const affinityMs =
    spec.sessionAffinity === "ClientIP" ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10_800) * 1000 : 0;
  // biome-ignore lint/suspicious/noExplicitAny: a ServicePort
  return (spec.ports ?? []).map((port: any) => {
    const ready: Backend[] = [];
    const ending: Backend[] = [];
    for (const slice of slices) {
      // biome-ignore lint/suspicious/noExplicitAny: an EndpointPort
      const number = slice["ports"]?.find((p: any) => (p.name ?? "") === (port.name ?? ""))?.port;
      if (number === undefined || slice["addressType"] !== "IPv4") continue;
      for (const { addresses, conditions = {} } of slice["endpoints"] ?? []) {
        const backend = { ip: addresses[0], port: number };
        if (conditions.ready !== false && !conditions.terminating) ready.push(backend);
        else if (conditions.serving !== false && conditions.terminating) ending.push(backend);
      }
    }
    return { port: port.port, protocol: port.protocol ?? "TCP", backends: ready.length > 0 ? ready : ending, affinityMs };
  });
}

export const sliceBelongsTo = (slice: KubeJson): string | undefined => slice.metadata.labels?.["kubernetes.io/service-name"];

export function slicesByService(slices: readonly KubeJson[]): Map<string, KubeJson[]> {
  const found = new Map<string, KubeJson[]>();
  for (const slice of slices) {
    const name = sliceBelongsTo(slice);
    if (name === undefined) continue;
    const list = found.get(name);
    if (list) list.push(slice);
    else found.set(name, [slice]);
  }
  return found;
}
