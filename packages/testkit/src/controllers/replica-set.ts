import type { KubeJson } from "../store.ts";
import { setCondition } from "./conditions.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { claimPods } from "./owners.ts";
import { addOwners, createPod, isActive, isReady, isTerminating, untilAvailable } from "./pods.ts";

const RESOURCE = "replicasets.apps";

export function replicaSetController(context: Context): Controller {
  const record = context.recorder("replicaset-controller");
  return {
    name: "replicaset",
    observe(event, add) {
      if (event.resource === RESOURCE) add(keyOf(event.object));
      else addOwners(context, event, "ReplicaSet", RESOURCE, add);
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const set = context.store.get(RESOURCE, namespace, name);
      if (!set) return;
      const claimed = claimPods(context, set);
      let pods = claimed.filter(isActive);
      const wanted = set["spec"].replicas ?? 1;
      let failure: Error | undefined;
      if (!set.metadata.deletionTimestamp) {
        try {
          while (pods.length < wanted) {
            const pod = createPod(context, set, { generateName: `${name.slice(0, 57)}-` });
            pods.push(pod);
            record(set, "Normal", "SuccessfulCreate", `Created pod: ${pod.metadata.name}`);
          }
        } catch (error) {
          failure = error as Error;
          record(set, "Warning", "FailedCreate", `Error creating: ${failure.message}`);
        }
        if (pods.length > wanted) {
          const ranked = pods.sort(dispensability);
          for (const pod of ranked.slice(0, pods.length - wanted)) {
            context.remove("pods", namespace, pod.metadata.name);
            record(set, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
          }
          pods = ranked.slice(pods.length - wanted);
        }
      }
      writeStatus(context, set, pods, claimed.filter(isTerminating).length, failure, again);
      if (failure) throw failure;
    },
  };
}

function writeStatus(
  context: Context,
  set: KubeJson,
  pods: readonly KubeJson[],
  terminating: number,
  failure: Error | undefined,
  again: (ms: number) => void,
): void {
  const now = context.clock.now();
  const minReady = set["spec"].minReadySeconds ?? 0;
  const waits = pods.map((pod) => untilAvailable(pod, minReady, now));
  const soon = waits.filter((ms): ms is number => ms !== undefined && ms > 0);
  if (soon.length > 0) again(Math.min(...soon));
  const labels = Object.entries<string>(set["spec"].template.metadata?.labels ?? {});
  const conditions = (set["status"]?.conditions ?? []).filter((entry: { type: string }) => entry.type !== "ReplicaFailure");
  if (failure) {
    const before = set["status"]?.conditions?.find((entry: { type: string }) => entry.type === "ReplicaFailure");
    if (before) conditions.push(before);
    setCondition(conditions, now, "ReplicaFailure", "True", "FailedCreate", failure.message);
  }
  context.setStatus(RESOURCE, set, {
    replicas: pods.length,
    fullyLabeledReplicas: some(pods.filter((pod) => labels.every(([key, value]) => pod.metadata.labels?.[key] === value)).length),
    readyReplicas: some(pods.filter(isReady).length),
    availableReplicas: some(waits.filter((ms) => ms === 0).length),
    terminatingReplicas: terminating,
    observedGeneration: set.metadata.generation,
    ...(conditions.length > 0 && { conditions }),
  });
}

/** Counts that the API omits where they are 0. */
export const some = (count: number): number | undefined => (count === 0 ? undefined : count);

/** Which pod goes first where there are too many: the unscheduled, the unready, the cheap, the young. */
function dispensability(a: KubeJson, b: KubeJson): number {
  return (
    Number(Boolean(a["spec"].nodeName)) - Number(Boolean(b["spec"].nodeName)) ||
    phaseRank(a) - phaseRank(b) ||
    Number(isReady(a)) - Number(isReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp) ||
    (a.metadata.name < b.metadata.name ? -1 : 1)
  );
}

const phaseRank = (pod: KubeJson): number => ["Pending", "Unknown", "Running"].indexOf(pod["status"]?.phase ?? "Pending");
const deletionCost = (pod: KubeJson): number =>
  Number(pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"] ?? 0) || 0;
