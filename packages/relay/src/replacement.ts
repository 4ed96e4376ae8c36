import type { Logger } from "@shipside/core";
import { type Cluster, DEPLOYMENTS, type Pod } from "@shipside/kube";
import type { DeployedRelay } from "./deploy.ts";
import { relayError } from "./errors.ts";
import { untilReady } from "./readiness.ts";

export interface Replacements {
  /**
   * Resolves when there is a new pod that is ready; who asks meanwhile waits for the same one. Rejects with `RELAY_NOT_READY` where there were enough
   * of them, or this one can't be had: then what there is is left to the kubelet. What is done, and what can't be, is logged as a warning.
   */
  replace(pod: Pod, why: string, signal: AbortSignal): Promise<void>;
}

/** In so long, in ms, a relay gets as many new pods at most. For one that can't run the kubelet's own pauses are right. */
const WITHIN_MS = 600_000;
const MOST = 5;
/** As when it was deployed: the new pod may be on a node that has to pull the image, in ms. */
const READY_MS = 120_000;

/**
 * New pods for a relay of one replica whose container the kubelet starts again only after a pause. They come by a change of its Deployment, as with
 * `kubectl rollout restart`: deleting pods is a right that deploying a relay doesn't need.
 */
export function createReplacements(cluster: Cluster, { namespace, name, uid }: DeployedRelay, logger: Logger): Replacements {
  const what = `${namespace}/${name}`;
  let recent: number[] = [];
  let told = false;
  /** The uid of the last one that was replaced: who looks at what a watch has may see it a little longer. */
  let gone: string | undefined;
  let replacing: Promise<void> | undefined;

  const replace: Replacements["replace"] = async (pod, why, signal) => {
    const { uid: besides } = pod.metadata;
    if (besides !== undefined && besides === gone) return;
    const now = performance.now();
    recent = recent.filter((at) => now - at < WITHIN_MS);
    if (recent.length >= MOST) {
      const error = relayError("RELAY_NOT_READY", `the relay ${what}: ${why}, in ${MOST} new pods too`, {
        hint: `see why with: kubectl logs -n ${namespace} ${pod.metadata.name} --previous`,
      });
      if (!told) logger.warn("a relay gets no more new pods for now", { relay: what, error: error.message, hint: error.hint });
      told = true;
      throw error;
    }
    told = false;
    recent.push(now);
    logger.warn("a relay gets a new pod", { relay: what, error: why });
    try {
      await cluster.patch(DEPLOYMENTS, { namespace, name }, restartPatch(), { kind: "merge", signal });
      const request = { namespace, name, uid, replicas: 1, timeoutMs: READY_MS, signal };
      await untilReady(cluster, { ...request, ...(besides !== undefined && { besides }) });
      gone = besides;
    } catch (cause) {
      if (signal.aborted) throw cause;
      const { message, hint } = cause as Error & { hint?: string };
      logger.warn("a relay's new pod is not ready", { relay: what, error: message, ...(hint !== undefined && { hint }) });
      throw relayError("RELAY_NOT_READY", message, { ...(hint !== undefined && { hint }), cause });
    }
  };

  return {
    replace: (...asked) =>
      (replacing ??= replace(...asked).finally(() => {
        replacing = undefined;
      })),
  };
}

/** The old pod goes at once, ready or not: beside it, a quota may have no room for another one. */
const restartPatch = (): unknown => ({
  spec: {
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
    template: { metadata: { annotations: { "kubectl.kubernetes.io/restartedAt": new Date().toISOString() } } },
  },
});
