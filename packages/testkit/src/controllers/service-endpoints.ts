import { isIPv6 } from "node:net";
import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { isFinished, isReady } from "./pods.ts";

export interface EndpointPort {
  name: string;
  port: number;
  protocol: string;
  appProtocol?: string;
}

/** A pod as an endpoint of a service. */
export interface PodEndpoint {
  pod: KubeJson;
  address: string;
  ports: readonly EndpointPort[];
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  hostname?: string;
}

/** The service's pods as endpoints of one family. Ports are resolved pod by pod: a named one may differ, or be missing. */
export function podEndpoints(service: KubeJson, pods: readonly KubeJson[], family: "IPv4" | "IPv6"): PodEndpoint[] {
  const out: PodEndpoint[] = [];
  for (const pod of pods) {
    const address = addressOf(pod, family);
    if (address === undefined || isFinished(pod)) continue;
    const serving = isReady(pod);
    const terminating = pod.metadata.deletionTimestamp !== undefined;
    const { hostname, subdomain } = pod["spec"];
    out.push({
      pod,
      address,
      ports: (service["spec"].ports ?? []).flatMap((port: Json) => {
        const number = portNumber(pod, port);
        const protocol = port.protocol ?? "TCP";
        if (number === undefined) return [];
        return [{ name: port.name ?? "", port: number, protocol, ...(port.appProtocol && { appProtocol: port.appProtocol }) }];
      }),
      ready: service["spec"].publishNotReadyAddresses === true || (serving && !terminating),
      serving,
      terminating,
      ...(hostname && subdomain === service.metadata.name && { hostname }),
    });
  }
  return out;
}

function addressOf(pod: KubeJson, family: "IPv4" | "IPv6"): string | undefined {
  const { podIP, podIPs } = pod["status"] ?? {};
  const all: string[] = podIPs ? podIPs.map((entry: { ip: string }) => entry.ip) : podIP ? [podIP] : [];
  return all.find((ip) => isIPv6(ip) === (family === "IPv6"));
}

/** The number of a service's port on a pod. */
function portNumber(pod: KubeJson, port: Json): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === "number") return target;
  const sidecars = (pod["spec"].initContainers ?? []).filter((container: Json) => container.restartPolicy === "Always");
  for (const container of [...pod["spec"].containers, ...sidecars]) {
    for (const { name, containerPort, protocol = "TCP" } of container.ports ?? []) {
      if (name === target && protocol === (port.protocol ?? "TCP")) return containerPort;
    }
  }
  return undefined;
}
