import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "@shipside/core";
import type { RelayConfig } from "../protocol.ts";
import type { KubeApi } from "./kube-api.ts";

/**
 * Deletes the relay's own Deployment, which owns everything of the relay's: the cluster's garbage collector does the rest, and ends this
 * pod. Tried until it is done; false where it may not, and then the relay stays until somebody else removes it.
 */
export async function removeSelf(
  api: KubeApi | undefined,
  config: RelayConfig,
  logger: Logger,
  signal: AbortSignal,
): Promise<boolean> {
  const path = `/apis/apps/v1/namespaces/${config.namespace}/deployments/${config.name}`;
  if (!api) return false;
  for (let wait = 1_000; !signal.aborted; wait = Math.min(wait * 2, 30_000)) {
    try {
      await api.request("DELETE", path, {
        body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background" },
        signal,
      });
      return true;
    } catch (error) {
      const { status } = (error as { details?: { status?: number } }).details ?? {};
      if (status === 404) return true;
      if (status === 401 || status === 403) {
        logger.warn("this relay may not remove itself", { error: (error as Error).message });
        return false;
      }
      logger.warn("this relay could not remove itself yet", { error: (error as Error).message });
    }
    await sleep(wait, undefined, { signal }).catch(() => {});
  }
  return false;
}
