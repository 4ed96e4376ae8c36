import { type Cluster, meantPod, PODS, selectorString, type Workload } from "@shipside/kube";
import type { PodFacts } from "./downward.ts";
import type { PlannedMount } from "./plan.ts";

/** Whether its files tell of the pod. */
export const asksDownward = ({ kind, source }: PlannedMount): boolean =>
  kind === "downwardAPI" || (kind === "projected" && ((source["sources"] ?? []) as object[]).some((each) => "downwardAPI" in each));

/**
 * Keeps `facts.pod` the one to ask: of a StatefulSet the replica that it was, whose claims these are. While there is none, what came from the last one
 * stays. Returns what ends it.
 */
export function followPods(
  cluster: Cluster,
  workload: Workload,
  { facts, signal, onChange }: { facts: PodFacts; signal: AbortSignal; onChange(): void },
): () => Promise<void> {
  const { namespace, name, selector, kind } = workload;
  // A cron job's pods have nothing in common to look for.
  if (!selector && kind !== "pod") return async () => {};
  const which = selector ? { labelSelector: selectorString(selector) } : { fieldSelector: `metadata.name=${name}` };
  const watch = cluster.watch(PODS, { namespace, signal, ...which });
  watch.events.on("change", () => {
    const best = meantPod(watch.items.values(), facts.pod?.metadata.name);
    if (!best) return;
    facts.pod = best;
    onChange();
  });
  return () => watch.close();
}
