import type { HostsEntry, HostsOwner } from "@shipside/core";

/**
 * The names for a hosts file beside a DNS that knows the cluster. A headless service whose pods have names of their own stands in the DNS
 * alone, with all its pods as in the cluster: the hosts file is read first, and has one address for it. Pure.
 */
export function entriesBesideDns(entries: readonly HostsEntry[]): HostsEntry[] {
  const services = new Set(entries.flatMap(({ names }) => names.map((name) => name.slice(name.indexOf(".") + 1))));
  return entries.filter(({ names }) => !names.some((name) => name.endsWith(".svc.cluster.local") && services.has(name)));
}

export function hostsBesideDns(hosts: HostsOwner): HostsOwner {
  return {
    ...hosts,
    plan: (entries) => hosts.plan(entriesBesideDns(entries)),
    apply: (entries) => hosts.apply(entriesBesideDns(entries)),
  };
}
