import { setCondition } from "../controllers/conditions.ts";
import { time } from "../node/events.ts";
import type { KubeJson, Store } from "../store.ts";

export interface LostNodeOptions {
  /** Until the cluster takes note, in ms. Default 50,000: the node lifecycle controller's own (`--node-monitor-grace-period`). */
  noticedAfterMs?: number;
}

const UNREACHABLE = "node.kubernetes.io/unreachable";

/**
 * What the node lifecycle controller does about a node of which nothing is heard: its conditions are unknown, its pods not ready, and two
 * taints keep pods away and drive them out, as their tolerations have it. Undone, the node is as it was.
 */
export function takeNoteOfLoss(store: Store, name: string): () => void {
  const taints = ["NoSchedule", "NoExecute"].map((effect) => ({ key: UNREACHABLE, effect, timeAdded: time() }));
  const before: unknown = store.get("nodes", undefined, name)?.["status"].conditions;
  store.mutate("nodes", undefined, name, (node) => {
    node["spec"] = { ...node["spec"], taints: [...(node["spec"]?.taints ?? []), ...taints] };
    node["status"].conditions = node["status"].conditions.map((condition: KubeJson) => ({
      ...condition,
      status: "Unknown",
      reason: "NodeStatusUnknown",
      message: "Kubelet stopped posting node status.",
      lastTransitionTime: time(),
    }));
  });
  for (const pod of store.list("pods")) {
    if (pod["spec"].nodeName !== name || !pod["status"]?.conditions) continue;
    store.mutate("pods", pod.metadata.namespace, pod.metadata.name, (copy) =>
      setCondition(copy["status"].conditions, Date.now(), "Ready", "False", "", ""),
    );
  }
  return () =>
    void store.mutate("nodes", undefined, name, (node) => {
      node["spec"].taints = node["spec"].taints.filter(({ key }: { key: string }) => key !== UNREACHABLE);
      node["status"].conditions = before;
    });
}
