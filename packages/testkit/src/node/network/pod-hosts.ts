import type { KubeJson } from "../../store.ts";
import { clusterIP } from "../env/service-links.ts";

export interface HostsInputs {
  pod: KubeJson;
  podIP: string;
  services: readonly KubeJson[];
  /** Of one service. */
  slices(service: KubeJson): readonly KubeJson[];
}

const DOMAIN = "cluster.local";

/** A pod's /etc/hosts: the kubelet's part, and the names that the cluster's DNS would answer, since a pod here has no DNS. */
export function renderPodHosts({ pod, podIP, services, slices }: HostsInputs): string {
  const { name, namespace } = pod.metadata;
  const { hostname = name, subdomain, hostAliases = [] } = pod["spec"];
  const own = subdomain ? `${hostname}.${subdomain}.${namespace}.svc.${DOMAIN}\t${hostname}` : hostname;
  const lines = [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    `${podIP}\t${own}`,
    ...hostAliases.map((alias: { ip: string; hostnames?: string[] }) => `${alias.ip}\t${(alias.hostnames ?? []).join("\t")}`),
    "",
    "# The cluster's names.",
  ];
  for (const service of services) {
    const ip = clusterIP(service);
    if (ip !== undefined) {
      lines.push(`${ip}\t${names(service, namespace!).join(" ")}`);
      continue;
    }
    if (service["spec"].type === "ExternalName") continue;
    const anyState = service["spec"].publishNotReadyAddresses === true;
    for (const slice of slices(service)) {
      for (const { addresses, conditions = {}, hostname: host } of slice["endpoints"] ?? []) {
        if (!anyState && conditions.ready === false) continue;
        for (const address of addresses) {
          const all = names(service, namespace!);
          if (host) all.push(...names(service, namespace!).map((full) => `${host}.${full}`));
          lines.push(`${address}\t${all.join(" ")}`);
        }
      }
    }
  }
  return `${lines.join("\n")}\n`;
}

function names(service: KubeJson, home: string): string[] {
  const { name, namespace } = service.metadata;
  const full = `${name}.${namespace}.svc.${DOMAIN}`;
  return [full, `${name}.${namespace}.svc`, `${name}.${namespace}`, ...(namespace === home ? [name] : [])];
}
