import type { KubeJson } from "../store.ts";
import { setCondition } from "./conditions.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import {
  annotationsFor,
  byAge,
  createCurrent,
  DESIRED,
  findCurrent,
  REVISION,
  revisionOf,
  sizeAnnotations,
} from "./deployment-revisions.ts";
import { deploymentStatus } from "./deployment-status.ts";
import { claim, controllerOf } from "./owners.ts";
import { isFinished } from "./pods.ts";
import { proportionalStep, rollingBounds, rollingStep, type Share } from "./rollout-math.ts";

const RESOURCE = "deployments.apps";
const REPLICA_SETS = "replicasets.apps";
const UPDATE = { lastUpdateTime: true } as const;

export function deploymentController(context: Context): Controller {
  const { store, clock } = context;
  const record = context.recorder("deployment-controller");

  const scale = (deployment: KubeJson, set: KubeJson, to: number, surge: number): void => {
    const from = set["spec"].replicas;
    const { namespace, name } = set.metadata;
    store.mutate(REPLICA_SETS, namespace, name, (copy) => {
      copy["spec"].replicas = to;
      copy.metadata.annotations = { ...copy.metadata.annotations, ...sizeAnnotations(deployment["spec"].replicas, surge) };
    });
    if (from === to) return;
    record(
      deployment,
      "Normal",
      "ScalingReplicaSet",
      `Scaled ${to > from ? "up" : "down"} replica set ${name} from ${from} to ${to}`,
    );
  };

  const writeStatus = (deployment: KubeJson, sets: readonly KubeJson[], unavailable: number, again: (ms: number) => void): void => {
    const result = deploymentStatus(deployment, findCurrent(deployment, sets), sets, unavailable, clock);
    context.setStatus(RESOURCE, deployment, result.status);
    if (result.again !== undefined) again(result.again + 1000);
  };

  /** Numbers the current ReplicaSet as the newest revision, and says so on the Deployment. */
  const number = (deployment: KubeJson, current: KubeJson, old: readonly KubeJson[], surge: number): KubeJson => {
    const revision = Math.max(0, ...old.map(revisionOf)) + 1;
    const annotations = annotationsFor(deployment, current, revision, surge);
    const { namespace, name } = current.metadata;
    const numbered = store.mutate(REPLICA_SETS, namespace, name, (copy) => {
      copy.metadata.annotations = annotations;
      if (deployment["spec"].minReadySeconds) copy["spec"].minReadySeconds = deployment["spec"].minReadySeconds;
      else delete copy["spec"].minReadySeconds;
    })!;
    store.mutate(RESOURCE, namespace, deployment.metadata.name, (copy) => {
      copy.metadata.annotations = { ...copy.metadata.annotations, [REVISION]: annotations[REVISION]! };
    });
    return numbered;
  };

  const note = (deployment: KubeJson, status: "True" | "Unknown", reason: string, message: string): void => {
    store.mutate(RESOURCE, deployment.metadata.namespace, deployment.metadata.name, (copy) => {
      copy["status"] = { ...copy["status"], conditions: copy["status"]?.conditions ?? [] };
      setCondition(copy["status"].conditions, clock.now(), "Progressing", status, reason, message, UPDATE);
    });
  };

  /** The end of a rollout: old revisions beyond the limit go. */
  const cleanUp = (deployment: KubeJson, old: readonly KubeJson[]): void => {
    const idle = old.filter((set) => set["spec"].replicas === 0 && !set["status"]?.replicas && !set.metadata.deletionTimestamp);
    const limit = deployment["spec"].revisionHistoryLimit ?? 10;
    const surplus = idle.sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, idle.length - limit));
    for (const { metadata } of surplus) context.remove(REPLICA_SETS, metadata.namespace, metadata.name);
  };

  /** Whether the number of replicas was changed since the ReplicaSets were last scaled. */
  const rescaled = (deployment: KubeJson, sets: readonly KubeJson[]): boolean =>
    sets.some((set) => {
      const desired = set.metadata.annotations?.[DESIRED];
      return set["spec"].replicas > 0 && desired !== undefined && Number(desired) !== deployment["spec"].replicas;
    });

  const rescale = (deployment: KubeJson, sets: readonly KubeJson[], current: KubeJson | undefined, surge: number): void => {
    const { replicas } = deployment["spec"];
    const active = sets.filter((set) => set["spec"].replicas > 0);
    const only = active.length === 1 ? active[0] : active.length === 0 ? current : undefined;
    if (only) {
      scale(deployment, only, replicas, surge);
      return;
    }
    const steps = proportionalStep(active.map(share), replicas > 0 ? replicas + surge : 0);
    for (const set of active)
      scale(deployment, set, steps.find(({ name }) => name === set.metadata.name)?.to ?? set["spec"].replicas, surge);
  };

  const roll = (
    deployment: KubeJson,
    current: KubeJson,
    old: readonly KubeJson[],
    bounds: { surge: number; unavailable: number },
  ): void => {
    const ordered = old.filter((set) => set["spec"].replicas > 0).sort(byAge);
    const state = { replicas: deployment["spec"].replicas, ...bounds, current: share(current), old: ordered.map(share) };
    for (const { name, to } of rollingStep(state)) {
      const set = [current, ...ordered].find(({ metadata }) => metadata.name === name)!;
      scale(deployment, set, to, bounds.surge);
    }
  };

  const reconcile = (deployment: KubeJson, again: (ms: number) => void): void => {
    const { spec, metadata } = deployment;
    const namespace = metadata.namespace!;
    const claimed = (): KubeJson[] => claim(context, deployment, REPLICA_SETS, store.list(REPLICA_SETS, namespace));
    let sets = claimed();
    const recreate = spec.strategy?.type === "Recreate";
    const bounds = recreate ? { surge: 0, unavailable: 0 } : rollingBounds(spec.strategy?.rollingUpdate, spec.replicas);
    if (metadata.deletionTimestamp) {
      writeStatus(deployment, sets, bounds.unavailable, again);
      return;
    }
    const progressing = deployment["status"]?.conditions?.find((entry: { type: string }) => entry.type === "Progressing");
    if (spec.paused && progressing?.reason !== "DeploymentPaused")
      note(deployment, "Unknown", "DeploymentPaused", "Deployment is paused");
    if (!spec.paused && progressing?.reason === "DeploymentPaused")
      note(deployment, "Unknown" as const, "DeploymentResumed", "Deployment is resumed");

    let current = findCurrent(deployment, sets);
    const old = sets.filter((set) => set !== current);
    if (current && !spec.paused) current = number(deployment, current, old, bounds.surge);
    if (spec.paused || rescaled(deployment, sets)) {
      rescale(deployment, sets, current, bounds.surge);
    } else if (recreate && old.some((set) => set["spec"].replicas > 0)) {
      for (const set of old) if (set["spec"].replicas > 0) scale(deployment, set, 0, 0);
    } else if (!recreate || !stillRunning(context, old)) {
      if (!current) {
        const total = old.reduce((sum, set) => sum + set["spec"].replicas, 0);
        const first = recreate ? spec.replicas : Math.min(spec.replicas, Math.max(0, spec.replicas + bounds.surge - total));
        const revision = Math.max(0, ...old.map(revisionOf)) + 1;
        current = createCurrent(context, deployment, revision, bounds.surge, first);
        if (!current) return;
        note(deployment, "True", "NewReplicaSetCreated", `Created new replica set "${current.metadata.name}"`);
        if (first > 0) {
          record(deployment, "Normal", "ScalingReplicaSet", `Scaled up replica set ${current.metadata.name} from 0 to ${first}`);
        }
        number(deployment, current, old, bounds.surge);
      } else if (recreate) scale(deployment, current, spec.replicas, 0);
      else roll(deployment, current, old, bounds);
    }

    sets = claimed();
    const fresh = store.get(RESOURCE, namespace, metadata.name)!;
    writeStatus(fresh, sets, bounds.unavailable, again);
    const now = findCurrent(fresh, sets);
    const status = store.get(RESOURCE, namespace, metadata.name)!["status"];
    const counts = [status.replicas, status.updatedReplicas, status.availableReplicas];
    if (!spec.paused && counts.every((count) => (count ?? 0) === spec.replicas))
      cleanUp(
        fresh,
        sets.filter((set) => set !== now),
      );
  };

  return {
    name: "deployment",
    observe(event, add) {
      if (event.resource === RESOURCE) add(keyOf(event.object));
      else if (event.resource === REPLICA_SETS) {
        for (const owner of [controllerOf(event.object), controllerOf(event.previous)])
          if (owner?.kind === "Deployment") add(`${event.object.metadata.namespace}/${owner.name}`);
      } else if (event.resource === "pods" && event.type === "DELETED") {
        // A Recreate waits for the last old pod to be gone.
        const set = controllerOf(event.object);
        const owner = set && controllerOf(store.get(REPLICA_SETS, event.object.metadata.namespace, set.name));
        if (owner?.kind === "Deployment") add(`${event.object.metadata.namespace}/${owner.name}`);
      }
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const deployment = store.get(RESOURCE, namespace, name);
      if (deployment) reconcile(deployment, again);
    },
  };
}

const share = (set: KubeJson): Share => ({
  name: set.metadata.name,
  replicas: set["spec"].replicas,
  available: set["status"]?.availableReplicas ?? 0,
});

/** Whether a pod of an old ReplicaSet hasn't ended yet. */
function stillRunning(context: Context, old: readonly KubeJson[]): boolean {
  return old.some(({ metadata }) =>
    context.objects
      .dependents(metadata.uid)
      .filter(({ resource }) => resource === "pods")
      .some(({ namespace, name }) => {
        const pod = context.store.get("pods", namespace, name);
        return pod !== undefined && !isFinished(pod);
      }),
  );
}
