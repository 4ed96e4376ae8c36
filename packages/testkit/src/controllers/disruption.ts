import { labelSelectorRequirements } from "../api/selectors.ts";
import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { timestamp } from "./clock.ts";
import { setCondition } from "./conditions.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { controllerOf } from "./owners.ts";
import { isFinished, isReady } from "./pods.ts";
import { resolveShare } from "./rollout-math.ts";

const RESOURCE = "poddisruptionbudgets.policy";
/** An evicted pod that hasn't gone by then counts as healthy again: its eviction came to nothing. */
const EVICTION_TIMEOUT_MS = 120_000;
const OWNERS: Readonly<Record<string, string>> = {
  ReplicaSet: "replicasets.apps",
  StatefulSet: "statefulsets.apps",
  ReplicationController: "replicationcontrollers",
};

/** Says in a PodDisruptionBudget's status how many of its pods may be evicted now. */
export function disruptionController(context: Context): Controller {
  const { store, clock } = context;

  /** How many pods there should be, by what controls them. */
  const wanted = (pods: readonly KubeJson[]): number => {
    const owners = new Map(pods.flatMap((pod) => controllerOf(pod) ?? []).map((owner) => [owner.uid, owner]));
    const replicas = [...owners.values()].map(({ kind, name }) => {
      const owner = OWNERS[kind] && store.get(OWNERS[kind], pods[0]!.metadata.namespace, name);
      return owner ? (owner["spec"].replicas ?? 1) : 0;
    });
    return replicas.reduce((sum, count) => sum + count, 0);
  };

  return {
    name: "disruption",
    observe({ resource, object, previous }, add) {
      if (resource === RESOURCE) add(keyOf(object));
      // A pod's own budget has to be found by its labels, before and after.
      else if (resource === "pods" || Object.values(OWNERS).includes(resource)) {
        if (resource === "pods" && previous && sameForBudgets(object, previous)) return;
        for (const budget of store.list(RESOURCE, object.metadata.namespace)) add(keyOf(budget));
      }
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const budget = store.get(RESOURCE, namespace, name);
      if (!budget) return;
      const { spec } = budget;
      const now = clock.now();
      const requirements = labelSelectorRequirements(spec.selector);
      const pods = requirements ? context.pods.matching(namespace!, requirements).filter((pod) => !isFinished(pod)) : [];
      const plain = typeof spec.minAvailable === "number";
      const expectedPods = plain ? pods.length : wanted(pods);
      const desiredHealthy = plain
        ? spec.minAvailable
        : spec.minAvailable !== undefined
          ? resolveShare(spec.minAvailable, expectedPods, Math.ceil)
          : Math.max(0, expectedPods - resolveShare(spec.maxUnavailable, expectedPods, Math.ceil));
      const evicted: Record<string, string> = {};
      for (const [pod, since] of Object.entries<string>(budget["status"]?.disruptedPods ?? {})) {
        const found = pods.find(({ metadata }) => metadata.name === pod);
        const left = Date.parse(since) + EVICTION_TIMEOUT_MS - now;
        if (!found || found.metadata.deletionTimestamp || left <= 0) continue;
        evicted[pod] = since;
        again(left);
      }
      const healthy = pods.filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp && !evicted[pod.metadata.name]).length;
      const allowed = expectedPods > 0 ? Math.max(0, healthy - desiredHealthy) : 0;
      const conditions: Json[] = (budget["status"]?.conditions ?? []).map((entry: Json) => ({ ...entry }));
      setCondition(
        conditions,
        now,
        "DisruptionAllowed",
        allowed > 0 ? "True" : "False",
        allowed > 0 ? "SufficientPods" : "InsufficientPods",
        "",
      );
      for (const entry of conditions) entry.observedGeneration = budget.metadata.generation;
      context.setStatus(RESOURCE, budget, {
        conditions,
        currentHealthy: healthy,
        desiredHealthy,
        disruptionsAllowed: allowed,
        expectedPods,
        observedGeneration: budget.metadata.generation,
        ...(Object.keys(evicted).length > 0 && { disruptedPods: evicted }),
      });
    },
  };
}

const sameForBudgets = (pod: KubeJson, previous: KubeJson): boolean =>
  isReady(pod) === isReady(previous) &&
  isFinished(pod) === isFinished(previous) &&
  pod.metadata.labels === previous.metadata.labels &&
  pod.metadata.deletionTimestamp === previous.metadata.deletionTimestamp;

/** Notes an eviction at once, so that the next one is measured against what is left. */
export const evictedNow = (status: Json, pod: string, now: number): Json => ({
  ...status,
  disruptionsAllowed: status.disruptionsAllowed - 1,
  disruptedPods: { ...status.disruptedPods, [pod]: timestamp(now) },
});
