import type { HostsEntry } from "@shipside/core";
import type { ClusterService } from "@shipside/rootless";
import type { ServiceInfo } from "./session-info.ts";

const ZONE = "svc.cluster.local";
/** The API server's tunnel is of no namespace. */
const API_SERVER = { namespace: "default", name: "kubernetes" };

/** What the cluster's DNS would say of a session's services, with the addresses that they have for its command. Pure. */
export function clusterServices(services: readonly ServiceInfo[], entries: readonly HostsEntry[]): ClusterService[] {
  return services.flatMap((service) => {
    const { namespace, name } = service.name === `${API_SERVER.name}.${API_SERVER.namespace}.svc` ? API_SERVER : service;
    if (namespace === "") return [];
    const { externalName } = service;
    // Its name in the hosts file has the address; what asks the DNS gets the name that it stands for, too.
    if (externalName !== undefined)
      return { namespace, name, externalName, ...(service.address !== undefined && { addresses: [service.address] }) };
    if (service.address === undefined) return [];
    const ports = service.ports.map(({ port, name: portName, protocol }) => ({
      port,
      protocol: protocol as "TCP" | "UDP",
      ...(portName !== undefined && { name: portName }),
    }));
    const pods = podsOf(`.${name}.${namespace}.${ZONE}`, entries);
    const addresses = [service.address, ...(service.secondaryAddress === undefined ? [] : [service.secondaryAddress])];
    // A headless service's name stands for its pods; where they have no names, for the address that leads to them.
    return { namespace, name, ports, ...(pods.length > 0 ? { endpoints: pods } : { addresses }) };
  });
}

function podsOf(ending: string, entries: readonly HostsEntry[]): { hostname: string; addresses: string[] }[] {
  return entries.flatMap(({ address, names }) =>
    names.flatMap((name) => {
      const hostname = name.endsWith(ending) ? name.slice(0, -ending.length) : "";
      return hostname === "" || hostname.includes(".") ? [] : { hostname, addresses: [address] };
    }),
  );
}
