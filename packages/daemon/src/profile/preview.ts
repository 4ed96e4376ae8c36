import { type Cluster, connectCluster, resolveWorkload, SERVICES } from "@shipside/kube";
import type { SessionOptions } from "../session-info.ts";
import { checkSessionOptions } from "../session-options.ts";
import { sessionServices } from "../session-services.ts";

/** What a session would make, as far as asking tells. */
export interface SessionPreview {
  context: string;
  server: string;
  namespace: string;
  /** As resolved. */
  workload?: string;
  /** Namespaces whose services it would have; empty for an env. */
  namespaces: string[];
  services: Array<{ namespace: string; name: string; ports: string[] }>;
  /** The shortest name of each service from the home namespace, and of each remote host. */
  names: string[];
  /** And folders. */
  files: string[];
  /** What would be made or changed in the cluster, in words. */
  cluster: string[];
}

/** Looks up what a session of these options would be, and makes nothing. Rejects as opening it would: `SESSION_OPTIONS`, `KUBE_…`. */
export async function previewSession(given: SessionOptions, signal?: AbortSignal): Promise<SessionPreview> {
  const {
    kind,
    kubeconfig,
    context,
    namespace: wanted,
    workload,
    also = [],
    services: rules = [],
    envFile,
    expose,
    intercept,
    mount,
    via,
    remoteHosts = [],
  } = checkSessionOptions(given);
  await using cluster: Cluster = await connectCluster({
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(wanted !== undefined && { namespace: wanted }),
    ...(signal && { signal }),
  });
  const { namespace } = cluster.info;
  const selection = sessionServices(rules, namespace);
  const namespaces = kind === "teleport" ? [...new Set([namespace, ...also, ...selection.namespaces])] : [];
  const abort = signal && { signal };
  const [found, ...lists] = await Promise.all([
    workload === undefined ? undefined : resolveWorkload(cluster, workload, { namespace, ...abort }),
    ...namespaces.map((each) => cluster.list(SERVICES, { namespace: each, ...abort })),
  ]);
  const services = lists
    .flat()
    .map(({ metadata, spec }) => ({
      namespace: metadata.namespace ?? namespace,
      name: metadata.name,
      labels: metadata.labels ?? {},
      ports: (spec.ports ?? []).map(({ port, protocol = "TCP" }) => `${port}/${protocol}`),
    }))
    .filter(selection.admits);
  return {
    context: cluster.info.context,
    server: cluster.info.server,
    namespace,
    ...(found && { workload: `${found.kind}/${found.name}` }),
    namespaces,
    services: services.map(({ labels: _labels, ...service }) => service),
    names: [
      ...services.map((service) => (service.namespace === namespace ? service.name : `${service.name}.${service.namespace}`)),
      ...remoteHosts.map((host) => host.replace(/:\d+$/, "")),
    ],
    files: [...(envFile ? [envFile.path] : []), ...(mount ? [mount.dir] : [])],
    cluster: [
      ...(expose ? [`a Service ${expose.service}, and a relay behind it`] : []),
      ...(intercept ? [`Service ${intercept.service} changed while it is open, and a relay behind it`] : []),
      ...(via === "relay" || remoteHosts.length > 0 ? ["a relay"] : []),
    ],
  };
}
