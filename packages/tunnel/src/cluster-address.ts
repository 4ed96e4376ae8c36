import { BlockList, isIPv6 } from "node:net";
import type { ServiceView } from "./services.ts";

/**
 * Where pods are: RFC 1918, 6598 and 4193, and the loopback range, where a test's cluster may have them. Whoever may write an EndpointSlice
 * chooses what stands in it, and shall have no address of the internet's.
 */
const PRIVATE = new BlockList();
for (const [net, prefix] of [
  ["10.0.0.0", 8],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
] as const)
  PRIVATE.addSubnet(net, prefix, "ipv4");
PRIVATE.addSubnet("fc00::", 7, "ipv6");

/** A dual-stack service's other ClusterIP (KEP-563), by which clients of the other family find it. Pure. */
export function secondaryAddress({ service }: ServiceView): string | undefined {
  const { clusterIP, clusterIPs = [] } = service.spec;
  return clusterIP === "None" ? undefined : clusterIPs.find((address) => address !== clusterIP && address !== "");
}

/**
 * The address that clients in the cluster use: a service's ClusterIP, and of a headless service's pod (`hostname`) the pod's IP. Undefined
 * where there is none: for a headless service as a whole, an ExternalName, a pod that no slice lists or whose IP is a public one. Pure.
 */
export function clusterAddress({ service, slices }: ServiceView, hostname?: string): string | undefined {
  if (hostname === undefined) {
    const { clusterIP } = service.spec;
    return clusterIP === "None" || clusterIP === "" ? undefined : clusterIP;
  }
  const ordered = [...slices].sort((a, b) => a.addressType.localeCompare(b.addressType));
  const endpoints = ordered.flatMap((slice) => slice.endpoints ?? []).filter((endpoint) => endpoint.hostname === hostname);
  // One that is going, and its successor, may both be listed.
  const [found] = [...endpoints.filter(({ conditions }) => conditions?.ready ?? true), ...endpoints];
  const address = found?.addresses[0];
  return address !== undefined && PRIVATE.check(address, isIPv6(address) ? "ipv6" : "ipv4") ? address : undefined;
}
