import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import type { Clock } from "./clock.ts";
import { setCondition } from "./conditions.ts";
import { some } from "./replica-set.ts";

const UPDATE = { lastUpdateTime: true } as const;

/** A Deployment's status by its ReplicaSets' statuses. `again` is when the progress deadline is to be checked. */
export function deploymentStatus(
  deployment: KubeJson,
  current: KubeJson | undefined,
  sets: readonly KubeJson[],
  unavailableAllowed: number,
  clock: Clock,
): { status: Json; again?: number } {
  const { spec } = deployment;
  const before = deployment["status"] ?? {};
  const now = clock.now();
  const count = (field: string): number => sets.reduce((sum, set) => sum + (set["status"]?.[field] ?? 0), 0);
  const wanted = sets.reduce((sum, set) => sum + set["spec"].replicas, 0);
  const available = count("availableReplicas");
  const conditions: Json[] = (before.conditions ?? []).map((entry: Json) => ({ ...entry }));
  const status: Json = {
    observedGeneration: deployment.metadata.generation,
    replicas: some(count("replicas")),
    updatedReplicas: some(current?.["status"]?.replicas ?? 0),
    readyReplicas: some(count("readyReplicas")),
    availableReplicas: some(available),
    terminatingReplicas: count("terminatingReplicas"),
    unavailableReplicas: some(Math.max(0, wanted - available)),
    ...(before.collisionCount && { collisionCount: before.collisionCount }),
    conditions,
  };
  if (available >= spec.replicas - unavailableAllowed) {
    setCondition(conditions, now, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", UPDATE);
  } else {
    const message = "Deployment does not have minimum availability.";
    setCondition(conditions, now, "Available", "False", "MinimumReplicasUnavailable", message, UPDATE);
  }
  const again = progress(deployment, current, status, conditions, now);
  failure(sets, conditions);
  if (conditions.length === 0) delete status.conditions;
  return { status, ...(again !== undefined && { again }) };
}

/** Sets the condition Progressing. */
function progress(
  deployment: KubeJson,
  current: KubeJson | undefined,
  status: Json,
  conditions: Json[],
  now: number,
): number | undefined {
  const { spec } = deployment;
  const before = deployment["status"] ?? {};
  const n = (value: number | undefined): number => value ?? 0;
  const at = conditions.findIndex((entry) => entry.type === "Progressing");
  // Int32's maximum stands for no deadline.
  if (spec.progressDeadlineSeconds === undefined || spec.progressDeadlineSeconds >= 2 ** 31 - 1) {
    if (at >= 0) conditions.splice(at, 1);
    return undefined;
  }
  const known = conditions[at];
  if (n(status.replicas) === n(status.updatedReplicas) && known?.reason === "NewReplicaSetAvailable") return undefined;
  const name = current ? `ReplicaSet "${current.metadata.name}"` : `Deployment "${deployment.metadata.name}"`;
  const complete = [status.updatedReplicas, status.replicas, status.availableReplicas].every((count) => n(count) === spec.replicas);
  const moved =
    n(status.updatedReplicas) > n(before.updatedReplicas) ||
    n(status.replicas) - n(status.updatedReplicas) < n(before.replicas) - n(before.updatedReplicas) ||
    n(status.readyReplicas) > n(before.readyReplicas) ||
    n(status.availableReplicas) > n(before.availableReplicas);
  if (complete) {
    setCondition(conditions, now, "Progressing", "True", "NewReplicaSetAvailable", `${name} has successfully progressed.`, UPDATE);
    return undefined;
  }
  if (moved) {
    // Its time of update is what the deadline counts from.
    if (at >= 0) conditions.splice(at, 1);
    setCondition(conditions, now, "Progressing", "True", "ReplicaSetUpdated", `${name} is progressing.`, UPDATE);
    if (known?.status === "True") conditions.at(-1).lastTransitionTime = known.lastTransitionTime;
    return spec.progressDeadlineSeconds * 1000;
  }
  if (!known || known.reason === "ProgressDeadlineExceeded" || spec.paused) return undefined;
  const left = Date.parse(known.lastUpdateTime) + spec.progressDeadlineSeconds * 1000 - now;
  if (left > 0) return left;
  setCondition(conditions, now, "Progressing", "False", "ProgressDeadlineExceeded", `${name} has timed out progressing.`, UPDATE);
  return undefined;
}

/** Passes on that a ReplicaSet can't make its pods. */
function failure(sets: readonly KubeJson[], conditions: Json[]): void {
  const found = sets.flatMap((set) => set["status"]?.conditions ?? []).find((entry: Json) => entry.type === "ReplicaFailure");
  const at = conditions.findIndex((entry) => entry.type === "ReplicaFailure");
  if (at >= 0) conditions.splice(at, 1);
  if (found) conditions.push({ ...found, lastUpdateTime: found.lastTransitionTime });
}
