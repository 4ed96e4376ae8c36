import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { timestamp } from "./clock.ts";
import { setCondition } from "./conditions.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { condition, isFinished } from "./pods.ts";

/** Puts pods on the node that fits: with one node that is a small choice, and its refusals are the real scheduler's. */
export function schedulerController(context: Context): Controller {
  const { store, clock } = context;
  const record = context.recorder("default-scheduler");
  const waiting = (pod: KubeJson): boolean =>
    !pod["spec"].nodeName &&
    !pod.metadata.deletionTimestamp &&
    !isFinished(pod) &&
    (pod["spec"].schedulerName ?? "default-scheduler") === "default-scheduler";
  return {
    name: "scheduler",
    observe({ resource, type, object }, add) {
      if (resource === "pods" && type !== "DELETED" && waiting(object)) add(keyOf(object));
      else if (resource === "nodes") for (const pod of store.list("pods")) if (waiting(pod)) add(keyOf(pod));
    },
    reconcile(key) {
      const { namespace, name } = splitKey(key);
      const pod = store.get("pods", namespace, name);
      const nodes = store.list("nodes");
      if (!pod || !waiting(pod) || nodes.length === 0) return;
      const refusals = new Map<string, number>();
      const node = nodes.find((candidate) => {
        const reason = refusal(pod, candidate);
        if (reason) refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
        return reason === undefined;
      });
      if (node) {
        store.mutate("pods", namespace, name, (copy) => {
          copy["spec"].nodeName = node.metadata.name;
          const conditions: Json[] = (copy["status"]?.conditions ?? []).filter((entry: Json) => entry.type !== "PodScheduled");
          conditions.push({
            type: "PodScheduled",
            status: "True",
            lastProbeTime: null,
            lastTransitionTime: timestamp(clock.now()),
          });
          copy["status"] = { ...copy["status"], conditions };
        });
        record(pod, "Normal", "Scheduled", `Successfully assigned ${namespace}/${name} to ${node.metadata.name}`);
        return;
      }
      const why = [...refusals].map(([reason, count]) => `${count} ${reason}`).join(", ");
      const message = `0/${nodes.length} nodes are available: ${why}.`;
      if (condition(pod, "PodScheduled")?.message === message) return;
      store.mutate("pods", namespace, name, (copy) => {
        const conditions: Json[] = copy["status"]?.conditions ?? [];
        setCondition(conditions, clock.now(), "PodScheduled", "False", "Unschedulable", message);
        copy["status"] = { ...copy["status"], conditions };
      });
      record(pod, "Warning", "FailedScheduling", message);
    },
  };
}

/** Why a pod can't run on a node, in the scheduler's words. */
function refusal(pod: KubeJson, node: KubeJson): string | undefined {
  if (node["spec"]?.unschedulable) return "node(s) were unschedulable";
  const wanted = Object.entries<string>(pod["spec"].nodeSelector ?? {});
  if (wanted.some(([key, value]) => node.metadata.labels?.[key] !== value))
    return "node(s) didn't match Pod's node affinity/selector";
  return undefined;
}
