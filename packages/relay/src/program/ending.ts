import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, createCloser, type Logger } from "@shipside/core";
import type { RelayConfig } from "../protocol.ts";
import type { Accept } from "./accept.ts";
import { startHeartbeat } from "./heartbeat.ts";
import type { KubeApi } from "./kube-api.ts";
import type { Leases } from "./lease.ts";
import { removeSelf } from "./removal.ts";
import { restoreService } from "./restore.ts";

/** In ms. */
export const ENDING = {
  /** How long the relay stays at least after the Service was restored, unless its configuration says so. */
  settleMs: 3_000,
  /**
   * How long what is under way may go on, and how long it may where the pod was asked to end, which is also how long connections that
   * wait for a request may stay: less than its termination grace period.
   */
  boundMs: 60_000,
  terminateBoundMs: 15_000,
  /** How long the Deployment is watched for another ready replica, and how long a restore may take, once the pod was asked to end. */
  lastReadyMs: 3_000,
  terminateRestoreMs: 8_000,
};

export interface EndingOptions {
  config: RelayConfig;
  api: KubeApi | undefined;
  leases: Leases;
  accept: Pick<Accept, "drain" | "leave">;
  /** This pod's name. */
  pod: string;
  logger: Logger;
  timing?: Partial<typeof ENDING>;
}

export interface Ending extends Closable {
  /**
   * Restores the Service, drains, removes what is the relay's, upon which the kubelet asks this pod to end. Once, however often it is
   * called.
   */
  end(why: string): Promise<void>;
  /** The pod is to go (SIGTERM). Restores the Service where no other replica is ready; resolves when everything has drained. */
  terminate(): Promise<void>;
}

/** When a relay that takes traffic comes to its end: asked to, asked by the kubelet, or when nobody has had a lease for its grace period. */
export function watchEnding(options: EndingOptions): Ending {
  const { config, api, leases, accept, pod, logger } = options;
  const { settleSeconds } = config;
  const timing = { ...ENDING, ...(settleSeconds !== undefined && { settleMs: settleSeconds * 1_000 }), ...options.timing };
  const closer = createCloser();
  const lifetime = new AbortController();
  closer.defer(() => lifetime.abort());
  const graceMs = config.graceSeconds * 1_000;
  const everyMs = Math.min(10_000, Math.max(100, graceMs / 4));

  const heartbeat = startHeartbeat({ config, api, pod, alive: () => leases.count > 0, everyMs, logger });
  closer.defer(() => heartbeat.stop());
  const clock = setInterval(() => {
    if (performance.now() - heartbeat.lastAlive > graceMs) void end(`nobody has had a lease for ${config.graceSeconds} s`);
  }, everyMs);
  closer.defer(() => clearInterval(clock));

  let restored = false;
  let ended: Promise<void> | undefined;
  const end = (why: string): Promise<void> => (ended ??= run(why));
  const run = async (why: string): Promise<void> => {
    logger.info("ending", { why });
    clearInterval(clock);
    if (!api) logger.warn("this relay has no rights to restore the Service: whoever deployed it does");
    else if ((await restoreService(api, config, logger, lifetime.signal)) === "given-up") return;
    restored = true;
    await accept.drain({ settleMs: timing.settleMs, boundMs: timing.boundMs });
    await removeSelf(api, config, logger, lifetime.signal);
  };

  let terminated: Promise<void> | undefined;
  const terminate = async (): Promise<void> => {
    if (api && config.switch && !restored && (await isLastReady(api, config, timing.lastReadyMs, lifetime.signal))) {
      logger.info("no other replica is ready");
      await restoreService(api, config, logger, AbortSignal.any([lifetime.signal, AbortSignal.timeout(timing.terminateRestoreMs)]));
    }
    const until = performance.now() + timing.terminateBoundMs;
    await accept.drain({ settleMs: timing.settleMs, boundMs: timing.terminateBoundMs });
    await accept.leave({ patienceMs: Math.max(0, until - performance.now()) });
  };

  return {
    end,
    terminate: () => (terminated ??= terminate()),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

/**
 * Whether the Deployment has no ready pod but this one, which ends and so is no longer counted, as soon as its controller has noticed:
 * asked for a while. A Deployment that is gone has none; one that can't be asked for all that time is taken to have none, for the
 * Service is better restored for nothing than left without anybody. Who may no longer ask may not restore either: its rights went with
 * the Deployment.
 */
async function isLastReady(api: KubeApi, config: RelayConfig, forMs: number, signal: AbortSignal): Promise<boolean> {
  const path = `/apis/apps/v1/namespaces/${config.namespace}/deployments/${config.name}`;
  const until = performance.now() + forMs;
  for (let answered = false; ; ) {
    try {
      const { status, metadata } = (await api.request("GET", path, { signal })) as {
        metadata: { deletionTimestamp?: string };
        status?: { readyReplicas?: number };
      };
      answered = true;
      if (metadata.deletionTimestamp || !status?.readyReplicas) return true;
    } catch (error) {
      const { status } = (error as { details?: { status?: number } }).details ?? {};
      if (status === 404) return true;
      if (status === 403) return false;
    }
    if (performance.now() >= until || signal.aborted) return !answered;
    await sleep(Math.min(300, forMs / 4), undefined, { signal }).catch(() => {});
  }
}
