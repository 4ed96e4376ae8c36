import type { EnvSource } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { collectEnv } from "./collect.ts";
import type { CollectOptions } from "./collect-options.ts";

export type ClusterSourceOptions = Pick<CollectOptions, "from" | "pod" | "addressOf" | "skipForbidden" | "relaxedNames" | "select">;

/**
 * A cluster's workloads as a source, to be put over another's env: `collectEnv(local, { sources: [clusterSource(staging)] })`. Rejects
 * as {@link collectEnv} does.
 */
export function clusterSource(cluster: Cluster, options: ClusterSourceOptions = {}): EnvSource {
  return {
    name: `cluster ${cluster.info.context}`,
    async collect({ workload, namespace, container, signal }, { logger }) {
      const request = { workload, namespace, signal, logger, ...(container !== undefined && { container }) };
      return (await collectEnv(cluster, { ...options, ...request })).entries;
    },
  };
}
