import { isIP } from "node:net";
import type { ClusterService, EndpointOfService, PortOfService } from "./cluster-service.ts";
import { isWithin, isWritableName, nameKey } from "./name.ts";
import { addressRecord, dashed, nameRecord, type RecordBody, reverseName, srvRecord, txtRecord } from "./records.ts";

/**
 * The records of a cluster by the DNS specification of Kubernetes (version 1.1.0 of the schema), and where it leaves things open, as CoreDNS
 * has them: SRV at the service's own name, names for the endpoints of any service, pods' addresses unproved.
 */
export interface ClusterRecords {
  /** Without records the name exists all the same, others being below it; undefined where it doesn't exist. Takes a key. */
  find(name: string): readonly RecordBody[] | undefined;
}

const SCHEMA = "1.1.0";

export interface ClusterRecordsOptions {
  /** A key: lower case. */
  zone: string;
  services: readonly ClusterService[];
  namespaces: readonly string[];
  /** Of the servers of the zone itself. */
  servers: readonly string[];
}

export function clusterRecords({ zone, services, namespaces, servers }: ClusterRecordsOptions): ClusterRecords {
  const names = new Map<string, RecordBody[]>();
  /** The name and, so that "no such name" is never said of what has names below it (RFC 8020), each above it. */
  const at = (name: string): RecordBody[] => {
    const key = nameKey(name);
    let records = names.get(key);
    if (!records) {
      names.set(key, (records = []));
      const dot = key.indexOf(".");
      if (isWithin(key, zone) && key !== zone) at(key.slice(dot + 1));
    }
    return records;
  };
  const pointed = new Set<string>();
  const addressed = new Set<string>();
  // An endpoint stands in a slice for each of its families and sets of ports; a record there is but once (RFC 2181 section 5).
  const addPointer = (address: string, name: string): void => {
    if (isNew(pointed, `${address} ${name}`)) at(reverseName(address)).push(nameRecord("PTR", name));
  };
  const addAddresses = (name: string, addresses: readonly string[]): void => {
    for (const address of addresses) if (isNew(addressed, `${address} ${name}`)) at(name).push(addressRecord(address));
  };
  const addPorts = (name: string, served: readonly ServedPort[]): void => {
    const put = (owner: string, all: readonly ServedPort[]): void => {
      const some = [...new Map(all.map((one) => [`${one.port.port} ${one.target}`, one])).values()];
      const weight = Math.max(1, Math.floor(100 / some.length));
      for (const { port, target } of some) at(owner).push(srvRecord(port.port, target, weight));
    };
    for (const [owner, some] of Map.groupBy(served.filter(isNamed), ({ port }) => `${ownerOf(port)}.${name}`)) put(owner, some);
    put(name, served);
  };

  const addService = (service: ClusterService): void => {
    const name = `${service.name}.${service.namespace}.svc.${zone}`;
    if (service.externalName !== undefined) {
      const target = service.externalName.replace(/\.$/, "");
      const reached = (service.addresses ?? []).filter(isAddress).map(addressRecord);
      if (target !== "" && isIP(target) === 0 && isWritableName(target))
        at(name).push({ ...nameRecord("CNAME", target), ...(reached.length > 0 && { reached }) });
      return;
    }
    const ports = service.ports ?? [];
    const addresses = (service.addresses ?? []).filter(isAddress);
    const endpoints = endpointsOf(service, name);
    for (const { name: own, addresses: theirs, hostname } of endpoints) {
      addAddresses(own, theirs);
      if (hostname !== undefined) for (const address of theirs) addPointer(address, own);
    }
    if (addresses.length > 0) {
      addAddresses(name, addresses);
      addPorts(
        name,
        ports.map((port) => ({ port, target: name })),
      );
      for (const address of addresses) addPointer(address, name);
    } else {
      for (const endpoint of endpoints) addAddresses(name, endpoint.addresses);
      addPorts(
        name,
        endpoints.flatMap((endpoint) => (endpoint.ports ?? ports).map((port) => ({ port, target: endpoint.name }))),
      );
    }
  };

  at(zone).push(nameRecord("NS", `ns.dns.${zone}`));
  addAddresses(`ns.dns.${zone}`, servers.filter(isAddress));
  at(`dns-version.${zone}`).push(txtRecord(SCHEMA));
  at(`svc.${zone}`);
  at(`pod.${zone}`);
  for (const namespace of new Set([...namespaces, ...services.map(({ namespace }) => namespace)])) {
    at(`${namespace}.svc.${zone}`);
    at(`${namespace}.pod.${zone}`);
  }
  services.forEach(addService);

  return {
    find: (name) => names.get(name) ?? podRecords(name, zone, (namespace) => names.has(`${namespace}.pod.${zone}`)),
  };
}

interface ServedPort {
  port: PortOfService;
  target: string;
}

interface NamedEndpoint extends EndpointOfService {
  name: string;
}

/** With the name of each; an endpoint without a hostname has one for each of its addresses. */
function endpointsOf({ endpoints = [] }: ClusterService, service: string): NamedEndpoint[] {
  return endpoints.flatMap((endpoint) => {
    const addresses = endpoint.addresses.filter(isAddress);
    if (endpoint.hostname) return addresses.length > 0 ? [{ ...endpoint, addresses, name: `${endpoint.hostname}.${service}` }] : [];
    return addresses.map((address) => ({ ...endpoint, addresses: [address], name: `${dashed(address)}.${service}` }));
  });
}

/** `10-1-2-3.NAMESPACE.pod.ZONE` is 10.1.2.3, whether or not a pod has it, in a namespace that exists. */
function podRecords(name: string, zone: string, hasNamespace: (namespace: string) => boolean): RecordBody[] | undefined {
  if (!name.endsWith(`.pod.${zone}`)) return undefined;
  const [label = "", namespace = "", ...more] = name.slice(0, -`.pod.${zone}`.length).split(".");
  if (more.length > 0 || !hasNamespace(namespace)) return undefined;
  const address = [label.replaceAll("-", "."), label.replaceAll("-", ":")].find(isAddress);
  return address === undefined ? undefined : [addressRecord(address)];
}

const isNew = (seen: Set<string>, key: string): boolean => !seen.has(key) && Boolean(seen.add(key));
const isNamed = ({ port }: ServedPort): boolean => Boolean(port.name);
const ownerOf = ({ name, protocol = "TCP" }: PortOfService): string => `_${name}._${protocol.toLowerCase()}`;
const isAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes("%");
