import type { ServiceView } from "./services.ts";

/**
 * The address that clients in the cluster use: a service's ClusterIP, and of a headless service's pod (`hostname`) the pod's IP. Undefined
 * where there is none: for a headless service as a whole, an ExternalName, a pod that no slice lists. Pure.
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
  return found?.addresses[0];
}
