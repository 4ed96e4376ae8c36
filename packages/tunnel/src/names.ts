import { type HostsEntry, isHostName, isReservedName } from "@shipside/core";
import { OUTSIDE } from "./outside.ts";

/** A service (or, with `hostname`, a pod of a headless one) that has an address of its own. */
export interface NamedAddress {
  namespace: string;
  service: string;
  hostname?: string;
  address: string;
}

/**
 * The service `github` of a namespace `com`, or a pod `github` of a headless service `com`, is `github.com` in a pod, too: but a pod is not
 * where somebody's browser runs. Newer top-level domains are ordinary words that namespaces have (`dev`, `app`), and stay usable.
 */
const OF_THE_INTERNET = /^[^.]+\.(?:arpa|com|edu|gov|int|mil|net|org)$/i;

/** Whether something of the cluster may have it on this machine: somebody else has chosen it. */
const mayHave = (name: string): boolean => isHostName(name) && !isReservedName(name) && !OF_THE_INTERNET.test(name);

/** The names by which the cluster's DNS knows a service from a pod in `home`, the shortest first. */
function serviceNames(namespace: string, service: string, home: string): string[] {
  const full = [`${service}.${namespace}`, `${service}.${namespace}.svc`, `${service}.${namespace}.svc.cluster.local`];
  return namespace === home ? [service, ...full] : full;
}

/** Likewise for a pod's hostname in a headless service's subdomain: there is no name without the service's. */
function podNames(namespace: string, service: string, hostname: string, home: string): string[] {
  return serviceNames(namespace, `${hostname}.${service}`, home);
}

/**
 * Hosts lines for what has an address. Sorted, home namespace first, so that equal input gives equal lines. A name comes once: where
 * the pod `web.db` of the home namespace and the service `web` of namespace `db` want the same one, the first in the order of a
 * pod's DNS search list (`home.svc.cluster.local`, then `svc.cluster.local`) has it, as in the cluster.
 */
export function hostsEntriesOf(addresses: readonly NamedAddress[], home: string): HostsEntry[] {
  const taken = new Set<string>();
  const sorted = [...addresses].sort(
    (a, b) =>
      Number(b.namespace === home) - Number(a.namespace === home) ||
      compare(a.namespace, b.namespace) ||
      compare(a.service, b.service) ||
      compare(a.hostname ?? "", b.hostname ?? ""),
  );
  const entries: HostsEntry[] = [];
  for (const { namespace, service, hostname, address } of sorted) {
    const all =
      namespace === OUTSIDE
        ? [service]
        : hostname === undefined
          ? serviceNames(namespace, service, home)
          : podNames(namespace, service, hostname, home);
    // A host outside was named by whoever opened the session.
    const allowed = namespace === OUTSIDE ? all : all.filter(mayHave);
    const names = allowed.filter((name) => !taken.has(name));
    for (const name of names) taken.add(name);
    if (names.length > 0) entries.push({ address, names });
  }
  return entries;
}

/** `name` (home), `name.namespace[.svc[.cluster.local]]` or `namespace/name` → `namespace/name`. */
export function serviceKey(reference: string, home: string): string {
  if (reference.includes("/")) return reference;
  const [name, namespace = home] = reference.replace(/\.svc(\.cluster\.local)?\.?$/, "").split(".");
  return `${namespace}/${name}`;
}

/** RFC 3986's form for IPv6. */
export function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
