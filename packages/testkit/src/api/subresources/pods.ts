import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { evictedNow } from "../../controllers/disruption.ts";
import { isReady } from "../../controllers/pods.ts";
import type { Json } from "../../json.ts";
import type { NodeRuntime } from "../../node/runtime.ts";
import type { KubeJson, Store } from "../../store.ts";
import { isTrue } from "../request-info.ts";
import { labelSelectorRequirements, matchesLabels } from "../selectors.ts";
import { badRequest, StatusError } from "../status.ts";

/** Which container a log or exec request means. Throws Status 400 where that can't be told. */
export function chooseContainer(pod: KubeJson, asked: string | null): string {
  const names = (kind: string): string[] => ((pod["spec"][kind] ?? []) as Json[]).map((container) => container.name);
  const containers = names("containers");
  if (asked) {
    if ([...containers, ...names("initContainers"), ...names("ephemeralContainers")].includes(asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`);
  }
  if (containers.length === 1) return containers[0]!;
  const all = [...names("initContainers"), ...containers];
  throw badRequest(`a container name must be specified for pod ${pod.metadata.name}, choose one of: [${all.join(" ")}]`);
}

export function scheduled(pod: KubeJson): void {
  if (!pod["spec"].nodeName) throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
}

/** Serves `pods/log` until the log or the client ends. */
export async function serveLog(pod: KubeJson, query: URLSearchParams, node: NodeRuntime, response: ServerResponse): Promise<void> {
  const container = chooseContainer(pod, query.get("container"));
  const previous = isTrue(query.get("previous"));
  const waiting = [...(pod["status"]?.initContainerStatuses ?? []), ...(pod["status"]?.containerStatuses ?? [])].find(
    (status: Json) => status.name === container,
  ) as Json;
  if (!pod["spec"].nodeName) {
    response.writeHead(200, { "content-type": "text/plain" }).end();
    return;
  }
  if (!previous && waiting?.state?.waiting && !waiting.lastState?.terminated) {
    const { reason, message } = waiting.state.waiting;
    const trying = reason === "ErrImagePull" || reason === "ImagePullBackOff";
    throw badRequest(
      `container "${container}" in pod "${pod.metadata.name}" is waiting to start: ${
        trying ? `trying and failing to pull image` : reason || message || "ContainerCreating"
      }`,
    );
  }
  const since = query.get("sinceTime")
    ? Date.parse(query.get("sinceTime")!)
    : Date.now() - Number(query.get("sinceSeconds")) * 1000;
  let log: Awaited<ReturnType<NodeRuntime["logs"]>>;
  try {
    log = await node.logs(pod.metadata.namespace!, pod.metadata.name, {
      container,
      follow: isTrue(query.get("follow")),
      previous,
      timestamps: isTrue(query.get("timestamps")),
      ...(query.get("tailLines") && { tailLines: Number(query.get("tailLines")) }),
      ...(query.get("limitBytes") && { limitBytes: Number(query.get("limitBytes")) }),
      ...((query.get("sinceTime") || query.get("sinceSeconds")) && { since: new Date(since) }),
    });
  } catch (error) {
    throw badRequest((error as Error).message);
  }
  response.writeHead(200, { "content-type": "text/plain", "cache-control": "no-cache, private" });
  response.flushHeaders();
  await pipeline(log, response).catch(() => response.destroy());
}

/** `pods/eviction`: refused where a disruption budget doesn't allow it (policy/v1); what it allows is counted off at once. */
export function checkEviction(store: Store, pod: KubeJson, dryRun: boolean): void {
  // What doesn't run yet, or no longer, disrupts nobody.
  if (pod.metadata.deletionTimestamp || ["Succeeded", "Failed", "Pending"].includes(pod["status"]?.phase)) return;
  const budgets = store
    .list("poddisruptionbudgets.policy", pod.metadata.namespace)
    .filter((budget) => matchesLabels(labelSelectorRequirements(budget["spec"].selector) ?? [], pod.metadata.labels));
  if (budgets.length > 1) {
    throw new StatusError(
      500,
      "InternalError",
      "Internal error occurred: This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
    );
  }
  const [budget] = budgets;
  if (!budget) return;
  const { desiredHealthy = 0, currentHealthy = 0, disruptionsAllowed = 0, observedGeneration } = budget["status"] ?? {};
  const ready = isReady(pod);
  const { unhealthyPodEvictionPolicy: policy } = budget["spec"];
  if (!ready && (policy === "AlwaysAllow" || (currentHealthy >= desiredHealthy && desiredHealthy > 0))) return;
  const settled = (observedGeneration ?? budget.metadata.generation) >= (budget.metadata.generation ?? 0);
  if (settled && disruptionsAllowed > 0) {
    if (dryRun) return;
    store.mutate("poddisruptionbudgets.policy", budget.metadata.namespace, budget.metadata.name, (copy) => {
      copy["status"] = evictedNow(copy["status"], pod.metadata.name, Date.now());
    });
    return;
  }
  throw new StatusError(429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.", {
    causes: [
      {
        reason: "DisruptionBudget",
        message: `The disruption budget ${budget.metadata.name} ${
          settled
            ? `needs ${desiredHealthy} healthy pods and has ${currentHealthy} currently`
            : "is still being processed by the server."
        }`,
      },
    ],
    ...(!settled && { retryAfterSeconds: 10 }),
  });
}
