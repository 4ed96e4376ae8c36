import { setTimeout as delay } from "node:timers/promises";
import type { EmbeddedCluster } from "@shipside/testkit";
import { cliError } from "../errors.ts";

interface PodStatus {
  conditions?: Array<{ type: string; status: string }>;
}

const isReady = (status: PodStatus | undefined): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") ?? false;

/** Waits until `count` pods of a namespace are ready. Throws `DEMO_FAILED` with what keeps them. */
export async function untilReady(cluster: EmbeddedCluster, namespace: string, count: number, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const pods = cluster.store.list("pods", namespace);
    const ready = pods.filter(({ status }) => isReady(status));
    if (ready.length >= count) return;
    if (Date.now() > deadline) {
      throw cliError("DEMO_FAILED", `only ${ready.length} of the sample's ${count} pods were ready within 30 s`, {
        hint: "please report this, with the details that --json prints",
        details: {
          notReady: pods
            .filter(({ status }) => !isReady(status))
            .map(({ metadata, status }) => ({ name: metadata.name, phase: status?.phase, containers: status?.containerStatuses })),
        },
      });
    }
    await delay(10, undefined, { signal });
  }
}

/** What `kubectl rollout restart` does: the Deployment makes a new pod, and takes the old one away when that is ready. */
export function restartRollout(cluster: EmbeddedCluster, namespace: string, deployment: string): void {
  cluster.store.mutate("deployments.apps", namespace, deployment, (copy) => {
    copy["spec"].template.metadata.annotations = {
      ...copy["spec"].template.metadata.annotations,
      "kubectl.kubernetes.io/restartedAt": new Date().toISOString(),
    };
  });
}
