import type { Logger } from "@shipside/core";
import { type Cluster, connectCluster } from "@shipside/kube";
import type { SessionOptions } from "./session-info.ts";
import { createShared, type Held } from "./shared.ts";

export interface HostCluster {
  held: Held<Cluster>;
  /** One more hold on it. */
  again(): Promise<Held<Cluster>>;
  /** The same for the same cluster. */
  key: string;
  /** The namespace where none is named. */
  home: string;
}

/** The clusters that a host's sessions share. */
export interface HostClusters {
  /** The one that these options mean now: the kubeconfig may say something else by the next time. */
  find(options: SessionOptions, signal: AbortSignal): Promise<HostCluster>;
  /** One that the caller connected and closes. */
  given(cluster: Cluster): HostCluster;
}

export function createHostClusters(logger: Logger): HostClusters {
  const clusters = createShared<Cluster>();
  return {
    async find({ kubeconfig, context, namespace }, signal) {
      const fresh = await connectCluster({
        ...(kubeconfig !== undefined && { kubeconfig }),
        ...(context !== undefined && { context }),
        ...(namespace !== undefined && { namespace }),
        logger,
        signal,
      });
      const { namespace: home, ...where } = fresh.info;
      const key = JSON.stringify([kubeconfig, where]);
      try {
        const held = await clusters.acquire(key, async () => fresh, signal);
        if (held.value !== fresh) await fresh.close();
        return { held, again: () => clusters.acquire(key, () => Promise.reject(new Error("held already"))), key, home };
      } catch (error) {
        await fresh.close();
        throw error;
      }
    },
    given(cluster) {
      const key = keys.get(cluster) ?? `given ${keyCount++}`;
      keys.set(cluster, key);
      const held = { value: cluster, release: async () => {} };
      return { held, again: async () => held, key, home: cluster.info.namespace };
    },
  };
}

let keyCount = 0;
const keys = new WeakMap<Cluster, string>();
