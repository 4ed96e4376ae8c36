import { errorFromJson, type HostsEntry, type TunnelFacts } from "@shipside/core";
import type { ServiceStatus, Tunnel, TunneledService } from "@shipside/tunnel";
import type { ServiceInfo } from "./session-info.ts";

/**
 * The names of one namespace's tunnel for a session. A tunnel is shared by sessions with different homes, and names its services as seen
 * from its own namespace: those that hold only there (without the namespace in them) are left out elsewhere.
 */
export function entriesAtHome(entries: readonly HostsEntry[], namespace: string, isHome: boolean): HostsEntry[] {
  if (isHome) return [...entries];
  const qualified = (name: string): boolean =>
    name.endsWith(`.${namespace}`) || name.endsWith(`.${namespace}.svc`) || name.endsWith(`.${namespace}.svc.cluster.local`);
  return entries.flatMap(({ address, names }) => {
    const kept = names.filter(qualified);
    return kept.length > 0 ? [{ address, names: kept }] : [];
  });
}

export function serviceInfo(service: ServiceStatus): ServiceInfo {
  const { namespace, name, address, secondaryAddress, externalName, unsupported, ports, pods } = service;
  return {
    namespace,
    name,
    ...(address !== undefined && { address }),
    ...(secondaryAddress !== undefined && { secondaryAddress }),
    ...(externalName !== undefined && { externalName }),
    ...(unsupported !== undefined && { unsupported }),
    ports: [...ports, ...(address === undefined ? pods.flatMap((pod) => pod.ports) : [])].map((port) => ({
      port: port.port,
      ...(port.name !== undefined && { name: port.name }),
      protocol: port.protocol,
      state: port.state,
      ready: port.endpoints.length,
      ...(port.error && { error: port.error }),
      ...(port.reason !== undefined && { reason: port.reason }),
    })),
  };
}

/** Ports that a tunnel could not open, as errors, once for each message. */
export function problemsOf(tunnel: Pick<Tunnel, "status">): Error[] {
  const ports = tunnel.status().services.flatMap(({ ports: own, pods }) => [...own, ...pods.flatMap((pod) => pod.ports)]);
  const errors = new Map(ports.flatMap(({ error }) => (error ? [[error.message, errorFromJson(error)] as const] : [])));
  return [...errors.values()];
}

/** For hooks. */
export function tunnelFacts(services: Iterable<TunneledService>): TunnelFacts[] {
  return [...services].flatMap(({ namespace, name, address, ports }) =>
    address === undefined ? [] : [{ namespace, service: name, address, ports: ports.map(({ port }) => port) }],
  );
}
