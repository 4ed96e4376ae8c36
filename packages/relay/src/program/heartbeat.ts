import type { Logger } from "@shipside/core";
import type { RelayConfig } from "../protocol.ts";
import type { KubeApi } from "./kube-api.ts";

export interface Heartbeat {
  /** When a lease was last known to live here or on another replica, in ms of `performance.now()`. */
  readonly lastAlive: number;
  stop(): void;
}

/**
 * How replicas know of each other's leases. A developer links to every replica, but a link can fail for one of them alone, and that one
 * must not restore a Service which another still serves. Whoever holds leases renews a `coordination.k8s.io` Lease named like the
 * Deployment; whoever holds none looks whether it has changed. Changes are counted by the looker's own clock, so that clocks needn't
 * agree (as client-go's leader election does); nobody leads. While the API server is away nobody is taken to be gone. A relay that may not
 * ask, or has no such object, knows of itself only.
 */
export function startHeartbeat(options: {
  config: RelayConfig;
  api: KubeApi | undefined;
  pod: string;
  alive(): boolean;
  everyMs: number;
  logger: Logger;
}): Heartbeat {
  const { config, api, pod, alive, everyMs, logger } = options;
  const path = `/apis/coordination.k8s.io/v1/namespaces/${config.namespace}/leases/${config.name}`;
  let lastAlive = performance.now();
  let seen: string | undefined;
  let wasAlive = false;
  let asking = false;
  let complained = false;

  const ask = async (): Promise<void> => {
    if (!api) return;
    const body = { spec: { holderIdentity: pod, renewTime: new Date().toISOString().replace("Z", "000Z") } };
    const found = alive()
      ? await api.request("PATCH", path, { body, contentType: "application/merge-patch+json" })
      : await api.request("GET", path);
    const version = (found as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
    if (seen !== undefined && seen !== version) lastAlive = performance.now();
    seen = version;
  };
  const beat = (): void => {
    if (alive() || wasAlive) lastAlive = performance.now();
    wasAlive = alive();
    if (asking) return;
    asking = true;
    ask()
      .catch((error: Error & { details?: { status?: number } }) => {
        const { status = 0 } = error.details ?? {};
        // Not to be asked is no answer: another replica may have leases that it couldn't renew either.
        if (status !== 403 && status !== 404) lastAlive = performance.now();
        if (!complained) logger.warn("other replicas can't be asked for their leases", { error: error.message });
        complained = true;
      })
      .finally(() => {
        asking = false;
      });
  };
  const timer = setInterval(beat, everyMs);
  beat();
  return {
    get lastAlive() {
      return alive() ? performance.now() : lastAlive;
    },
    stop: () => clearInterval(timer),
  };
}
