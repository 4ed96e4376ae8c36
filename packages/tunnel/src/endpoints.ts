import type { Endpoint } from "@shipside/core";
import type { EndpointSlice, ServicePort } from "@shipside/kube";

/** An endpoint of one service port, with what the choice among them needs. */
export interface Candidate extends Endpoint {
  /** Tells two incarnations of a pod of the same name apart. */
  key: string;
  ready: boolean;
  /** Takes connections although it is going: used where nothing is ready (KEP-1669). */
  draining: boolean;
  /** The pod's name in a headless service's subdomain. */
  hostname?: string;
}

type SliceEndpoint = NonNullable<EndpointSlice["endpoints"]>[number];

/**
 * The endpoints of a service's port, from all of its slices. A slice lists its ports resolved to numbers, so that a named target port
 * that differs from pod to pod is in different slices; it is matched by the service port's name and protocol (discovery.k8s.io/v1).
 * An endpoint that stands in several slices (the API allows it while it moves between them; a dual-stack service has one a family)
 * comes once: by its pod, or where it has none by its address. Ordered by key, so that equal input gives equal output.
 */
export function endpointsOf(slices: readonly EndpointSlice[], port: ServicePort): Candidate[] {
  const found = new Map<string, Candidate>();
  for (const slice of [...slices].sort(byFamily)) {
    for (const number of portNumbers(slice, port)) {
      for (const endpoint of slice.endpoints ?? []) {
        const candidate = candidateOf(slice, endpoint, number);
        if (!candidate) continue;
        const known = found.get(candidate.key);
        if (!known || rank(candidate) > rank(known)) found.set(candidate.key, candidate);
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** The numbers that a service port has on the endpoints, in order. More than one where a named target port differs from pod to pod. */
export function targetNumbers(candidates: readonly Candidate[]): number[] {
  return [...new Set(candidates.map((candidate) => candidate.port))].sort((a, b) => a - b);
}

function portNumbers(slice: EndpointSlice, port: ServicePort): number[] {
  const protocol = port.protocol ?? "TCP";
  const numbers = new Set<number>();
  for (const entry of slice.ports ?? []) {
    if ((entry.name ?? "") !== (port.name ?? "") || (entry.protocol ?? "TCP") !== protocol) continue;
    // No number means "any port": then the target port is what the service itself says.
    const number = entry.port ?? (typeof port.targetPort === "number" ? port.targetPort : port.port);
    numbers.add(number);
  }
  return [...numbers];
}

function candidateOf(slice: EndpointSlice, endpoint: SliceEndpoint, port: number): Candidate | undefined {
  const address = endpoint.addresses[0];
  if (address === undefined) return undefined;
  const { targetRef, conditions = {} } = endpoint;
  const ready = conditions.ready ?? true;
  const namespace = slice.metadata.namespace ?? "default";
  // A pod elsewhere is none that a slice may speak for: we would dial it with the rights of whoever runs this, not of whoever wrote the slice.
  const own = targetRef?.kind === "Pod" && (targetRef.namespace ?? namespace) === namespace;
  const pod = own && targetRef.name !== undefined ? { namespace, name: targetRef.name } : undefined;
  return {
    key: pod ? `pod ${namespace}/${pod.name} ${targetRef?.uid ?? ""} :${port}` : `address ${address} :${port}`,
    address,
    port,
    ready,
    draining: !ready && conditions.terminating === true && (conditions.serving ?? ready),
    ...(pod && { pod }),
    ...(endpoint.nodeName !== undefined && { node: endpoint.nodeName }),
    ...(endpoint.hostname && { hostname: endpoint.hostname }),
  };
}

/** IPv4 first: the address of a pod that has both is then the one people know it by. Port-forward dials the pod, not the address. */
function byFamily(a: EndpointSlice, b: EndpointSlice): number {
  return a.addressType.localeCompare(b.addressType);
}

const rank = (candidate: Candidate): number => (candidate.ready ? 2 : candidate.draining ? 1 : 0);
