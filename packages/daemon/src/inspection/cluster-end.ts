import type { Duplex } from "node:stream";
import { type Cluster, ENDPOINT_SLICES, SERVICES } from "@shipside/kube";
import { tunnelError } from "@shipside/tunnel";

export interface ClusterEndRequest {
  namespace: string;
  /** Whose port it is. */
  service: string;
  port: number;
  /** The Service whose pods answer, where it is another one with the same ports: of an intercepted one, the one that leads to its own pods. */
  backend?: string;
  signal: AbortSignal;
}

/** Connects to a ready pod of a Service, as it stands now: for a request that is sent to the cluster again. Throws `TUNNEL_NO_ENDPOINT`. */
export async function connectClusterEnd(cluster: Cluster, request: ClusterEndRequest): Promise<Duplex> {
  const { namespace, service: name, port, backend = name, signal } = request;
  const [[service], slices] = await Promise.all([
    // To list it is what every session may that comes here.
    cluster.list(SERVICES, { namespace, fieldSelector: `metadata.name=${name}`, signal }),
    cluster.list(ENDPOINT_SLICES, { namespace, labelSelector: `kubernetes.io/service-name=${backend}`, signal }),
  ]);
  const wanted = service?.spec.ports?.find((each) => each.port === port && (each.protocol ?? "TCP") === "TCP");
  for (const { endpoints, ports } of slices) {
    const target = ports?.find((each) => (each.name ?? "") === (wanted?.name ?? ""))?.port;
    const pod = endpoints?.find(({ conditions, targetRef }) => conditions?.ready !== false && targetRef?.kind === "Pod")?.targetRef;
    if (target !== undefined && pod?.name !== undefined)
      return cluster.portForward({ namespace: pod.namespace ?? namespace, name: pod.name }, target, { signal });
  }
  throw tunnelError("TUNNEL_NO_ENDPOINT", `no pod of ${name}.${namespace} is ready to take a request on port ${port}`, {
    hint: `kubectl get endpointslices -n ${namespace} -l kubernetes.io/service-name=${backend} shows what there is`,
  });
}
