import { type ErrorJson, errorToJson } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import type { Connections } from "./connections.ts";
import type { Staleness } from "./events.ts";
import type { EndpointFacts, PortState, TunneledPort } from "./port.ts";
import type { TunneledService } from "./tunneled-service.ts";

export interface PortStatus {
  port: number;
  name?: string;
  protocol: string;
  state: PortState;
  /** `host:port` on this machine. */
  address?: string;
  error?: ErrorJson;
  /** Why it is unsupported. */
  reason?: string;
  endpoints: EndpointFacts[];
  /** Open now; since the beginning; of those, the ones that no pod took or that were reset. */
  connections: { open: number; total: number; failed: number };
  /** From the clients, and to them, since the beginning. */
  bytes: { sent: number; received: number };
}

export interface ServiceStatus {
  namespace: string;
  name: string;
  /** The loopback IP of its own. */
  address?: string;
  /** As the service's. */
  secondaryAddress?: string;
  /** Of an ExternalName: the name that it stands for. */
  externalName?: string;
  /** Why none of it is served. */
  unsupported?: string;
  ports: PortStatus[];
  pods: Array<{ hostname: string; address?: string; ports: PortStatus[] }>;
}

/** JSON: no class, no cycle, nothing that changes later. */
export interface TunnelStatus {
  context: string;
  server: string;
  home: string;
  /** What is known may be out of date: no watch is silent about it. */
  stale: Array<{ resource: string; namespace?: string; error: ErrorJson }>;
  connections: { open: number; total: number };
  /** In the order of namespace and name. */
  services: ServiceStatus[];
}

export function statusOf(parts: {
  cluster: Cluster;
  home: string;
  services: ReadonlyMap<string, TunneledService>;
  stale: readonly Staleness[];
  connections: Connections;
}): TunnelStatus {
  const { context, server } = parts.cluster.info;
  const sorted = [...parts.services].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    context,
    server,
    home: parts.home,
    stale: parts.stale.map((staleness) => ({ ...staleness, error: errorToJson(staleness.error) })),
    connections: { open: parts.connections.open, total: parts.connections.total },
    services: sorted.map(([, service]) => serviceStatus(service)),
  };
}

function serviceStatus({
  namespace,
  name,
  facts,
  address,
  secondaryAddress,
  unsupported,
  ports,
  pods,
}: TunneledService): ServiceStatus {
  const { externalName } = facts;
  return {
    namespace,
    name,
    ...(address !== undefined && { address }),
    ...(secondaryAddress !== undefined && { secondaryAddress }),
    ...(externalName !== undefined && { externalName }),
    ...(unsupported !== undefined && { unsupported }),
    ports: ports.map(portStatus),
    pods: pods.map((pod) => ({
      hostname: pod.hostname,
      ...(pod.address !== undefined && { address: pod.address }),
      ports: pod.ports.map(portStatus),
    })),
  };
}

function portStatus(port: TunneledPort): PortStatus {
  const { name, address, error, reason } = port;
  return {
    port: port.port,
    ...(name !== undefined && { name }),
    protocol: port.protocol,
    state: port.state,
    ...(address !== undefined && { address }),
    ...(error && { error: errorToJson(error) }),
    ...(reason !== undefined && { reason }),
    endpoints: [...port.endpoints],
    connections: port.connections,
    bytes: port.bytes,
  };
}
