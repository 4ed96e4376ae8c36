import { BACKEND_LABEL, type EnvEntry } from "@shipside/core";
import type { Service } from "@shipside/kube";

export interface ServiceName {
  namespace: string;
  name: string;
}

/** The address at which a service is reached from where the env will be used; undefined: its cluster IP. */
export type AddressOf = (service: ServiceName) => string | undefined;

/**
 * The variables that the kubelet makes for services that have a cluster IP: those of the pod's namespace where `links` is set, and
 * `kubernetes` of the namespace `default` always. Rule: API reference of `PodSpec.enableServiceLinks`. Not those of an intercept's own
 * Service ({@link BACKEND_LABEL}): no pod that stood before has them, and they would come and go with somebody's session.
 */
export function serviceEnv(services: readonly Service[], namespace: string, links: boolean, addressOf?: AddressOf): EnvEntry[] {
  const chosen = new Map<string, Service>();
  for (const service of services) {
    const { name } = service.metadata;
    const own = links && service.metadata.namespace === namespace;
    const master = service.metadata.namespace === "default" && name === "kubernetes";
    const ip = service.spec.clusterIP;
    if (!ip || ip === "None" || service.spec.type === "ExternalName" || BACKEND_LABEL in (service.metadata.labels ?? {})) continue;
    // A service of that name in the own namespace goes before the cluster's.
    if (own || (master && !chosen.has(name))) chosen.set(name, service);
  }
  return [...chosen.values()]
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap((service) => linksOf(service, addressOf));
}

function linksOf(service: Service, addressOf: AddressOf | undefined): EnvEntry[] {
  const { name, namespace = "" } = service.metadata;
  const address = addressOf?.({ namespace, name }) ?? service.spec.clusterIP ?? "";
  const host = address.includes(":") ? `[${address}]` : address;
  const prefix = variable(name);
  const entries: EnvEntry[] = [];
  const add = (suffix: string, value: string | number): void => {
    entries.push({ name: `${prefix}_${suffix}`, value: String(value), origin: { from: "service", namespace, name } });
  };
  const ports = service.spec.ports ?? [];
  const [first] = ports;
  add("SERVICE_HOST", address);
  if (first) add("SERVICE_PORT", first.port);
  for (const { name: portName, port } of ports) if (portName) add(`SERVICE_PORT_${variable(portName)}`, port);
  ports.forEach(({ port, protocol = "TCP" }, index) => {
    const url = `${protocol.toLowerCase()}://${host}:${port}`;
    const at = `PORT_${port}_${protocol.toUpperCase()}`;
    if (index === 0) add("PORT", url);
    add(at, url);
    add(`${at}_PROTO`, protocol.toLowerCase());
    add(`${at}_PORT`, port);
    add(`${at}_ADDR`, address);
  });
  return entries;
}

const variable = (name: string): string => name.replaceAll("-", "_").toUpperCase();
