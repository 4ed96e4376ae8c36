import type { KubeJson } from "../../store.ts";

const upper = (name: string): string => name.toUpperCase().replaceAll("-", "_");

/**
 * The variables by which a container finds services: `NAME_SERVICE_HOST`, `_SERVICE_PORT` and the Docker link form. The API
 * server's own service is always among them; the pod's namespace's are where `links` is set. Headless services have none.
 * `addressOf` may give a service another address than its ClusterIP.
 */
export function serviceEnv(
  services: readonly KubeJson[],
  namespace: string,
  links: boolean,
  addressOf: (service: KubeJson) => string | undefined = clusterIP,
): Record<string, string> {
  const env: Record<string, string> = {};
  const master = services.find((s) => s.metadata.namespace === "default" && s.metadata.name === "kubernetes");
  const chosen = links ? services.filter((s) => s.metadata.namespace === namespace && s !== master) : [];
  for (const service of master ? [master, ...chosen] : chosen) {
    const address = clusterIP(service) === undefined ? undefined : addressOf(service);
    const ports = service["spec"].ports ?? [];
    if (address === undefined || ports.length === 0) continue;
    const name = upper(service.metadata.name);
    env[`${name}_SERVICE_HOST`] = address;
    env[`${name}_SERVICE_PORT`] = String(ports[0].port);
    for (const [index, port] of ports.entries()) {
      if (port.name) env[`${name}_SERVICE_PORT_${upper(port.name)}`] = String(port.port);
      const protocol: string = port.protocol ?? "TCP";
      const url = `${protocol.toLowerCase()}://${host(address)}:${port.port}`;
      const prefix = `${name}_PORT_${port.port}_${protocol}`;
      if (index === 0) env[`${name}_PORT`] = url;
      env[prefix] = url;
      env[`${prefix}_PROTO`] = protocol.toLowerCase();
      env[`${prefix}_PORT`] = String(port.port);
      env[`${prefix}_ADDR`] = address;
    }
  }
  return env;
}

/** The service's virtual address, or undefined where it has none (headless, ExternalName, not allocated yet). */
export function clusterIP(service: KubeJson): string | undefined {
  const { clusterIP: ip, type } = service["spec"];
  return type !== "ExternalName" && ip && ip !== "None" ? ip : undefined;
}

const host = (address: string): string => (address.includes(":") ? `[${address}]` : address);
