import type { PodSpec, Workload } from "@shipside/kube";

/** What of a workload's pods a command must know that stands in for one. */
export interface PodInfo extends Pick<PodSpec, "dnsPolicy" | "dnsConfig" | "hostNetwork"> {
  /** What `hostname` says in one of them; where pods have names of chance, the workload's. */
  hostname: string;
  /** In full, where the pod has a subdomain. */
  fqdn?: string;
}

/** As a kubelet cuts it: nothing but letters and digits stand at its end. */
const MOST = 63;
/** Linux's limit, above which a kubelet starts no pod with `setHostnameAsFQDN`. */
const MOST_OF_ALL = 64;

/** Pure. */
export function podInfo({ kind, name, namespace, object, podSpec }: Workload): PodInfo {
  const { hostname, subdomain, setHostnameAsFQDN = false, dnsPolicy, dnsConfig, hostNetwork } = podSpec;
  // What their controller gives the pods of a StatefulSet.
  const ordered = kind === "statefulset";
  const given = ordered ? `${name}-0` : (hostname ?? name);
  const { serviceName } = object.spec as { serviceName?: string };
  const domain = ordered ? serviceName : subdomain;
  const own = given.slice(0, MOST).replace(/[-.]+$/, "");
  const fqdn = domain ? `${own}.${domain}.${namespace}.svc.cluster.local` : undefined;
  return {
    hostname: setHostnameAsFQDN && fqdn !== undefined && fqdn.length <= MOST_OF_ALL ? fqdn : own,
    ...(fqdn !== undefined && { fqdn }),
    ...(dnsPolicy && { dnsPolicy }),
    ...(dnsConfig && { dnsConfig }),
    ...(hostNetwork && { hostNetwork }),
  };
}
