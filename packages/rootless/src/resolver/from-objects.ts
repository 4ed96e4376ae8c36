import type { ClusterService, EndpointOfService, PortOfService } from "./cluster-service.ts";

/** What is read of a Service (`v1`). */
export interface ServiceObject {
  metadata: { name: string; namespace?: string };
  spec: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: readonly string[];
    externalName?: string;
    ports?: readonly { name?: string; port: number; protocol?: string }[];
  };
}

/** What is read of an EndpointSlice (`discovery.k8s.io/v1`). */
export interface EndpointSliceObject {
  metadata: { name: string; namespace?: string; labels?: Readonly<Record<string, string>> };
  addressType?: string;
  endpoints?:
    | readonly { addresses: readonly string[]; hostname?: string | null; conditions?: { ready?: boolean | null } | null }[]
    | null;
  ports?: readonly { name?: string | null; port?: number | null; protocol?: string | null }[] | null;
}

/** KEP-752. */
const OWNER = "kubernetes.io/service-name";

/** The services of a cluster as the resolver takes them. An endpoint counts where it is ready, or nobody says that it isn't. */
export function clusterServices(services: Iterable<ServiceObject>, slices: Iterable<EndpointSliceObject>): ClusterService[] {
  const bySelf = Map.groupBy(slices, ({ metadata }) => `${metadata.namespace}/${metadata.labels?.[OWNER]}`);
  return Array.from(services, ({ metadata: { name, namespace = "default" }, spec }) => {
    if (spec.type === "ExternalName") return { namespace, name, externalName: spec.externalName ?? "" };
    const ips = spec.clusterIPs ?? [spec.clusterIP ?? ""];
    return {
      namespace,
      name,
      addresses: ips.filter((ip) => ip !== "" && ip !== "None"),
      ports: (spec.ports ?? []).map(portOf),
      endpoints: (bySelf.get(`${namespace}/${name}`) ?? []).flatMap(endpointsIn),
    };
  });
}

function endpointsIn({ addressType, endpoints, ports }: EndpointSliceObject): EndpointOfService[] {
  if (addressType === "FQDN") return [];
  // One without a number stands for all.
  const own = (ports ?? []).flatMap(({ port, ...rest }) => (port ? [portOf({ ...rest, port })] : []));
  return (endpoints ?? [])
    .filter(({ conditions }) => conditions?.ready !== false)
    .map(({ addresses, hostname }) => ({ addresses, ports: own, ...(hostname && { hostname }) }));
}

const portOf = ({ name, port, protocol }: { name?: string | null; port: number; protocol?: string | null }): PortOfService => ({
  port,
  ...(name && { name }),
  protocol: (protocol ?? "TCP") as NonNullable<PortOfService["protocol"]>,
});
