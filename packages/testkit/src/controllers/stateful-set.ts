import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { claimPods, controllerReference } from "./owners.ts";
import { addOwners, createPod, isFinished, isReady, untilAvailable } from "./pods.ts";
import { some } from "./replica-set.ts";
import { REVISION_LABEL, syncRevisions, templateOf } from "./revisions.ts";

const RESOURCE = "statefulsets.apps";
const POD_NAME = "statefulset.kubernetes.io/pod-name";
const POD_INDEX = "apps.kubernetes.io/pod-index";

/** Pods with names of their own, made, ended and replaced in order. */
export function statefulSetController(context: Context): Controller {
  const { store, clock } = context;
  const record = context.recorder("statefulset-controller");

  const create = (set: KubeJson, ordinal: number, revision: KubeJson): KubeJson => {
    const { spec, metadata } = set;
    const name = `${metadata.name}-${ordinal}`;
    createClaims(context, set, ordinal);
    const template = templateOf(revision);
    const pod = createPod(
      context,
      { ...set, spec: { ...spec, template } },
      { name, labels: { [POD_NAME]: name, [POD_INDEX]: String(ordinal), [REVISION_LABEL]: revision.metadata.name } },
      (podSpec) => {
        podSpec.hostname = name;
        if (spec.serviceName) podSpec.subdomain = spec.serviceName;
        const claims = (spec.volumeClaimTemplates ?? []) as Json[];
        const own = ((podSpec.volumes ?? []) as Json[]).filter(
          (volume) => !claims.some((claim) => claim.metadata.name === volume.name),
        );
        const volumes = claims.map((claim) => ({
          name: claim.metadata.name,
          persistentVolumeClaim: { claimName: claimName(set, claim, ordinal) },
        }));
        if (own.length + volumes.length > 0) podSpec.volumes = [...own, ...volumes];
      },
    );
    record(set, "Normal", "SuccessfulCreate", `Create Pod ${name} in StatefulSet ${metadata.name} successful`);
    return pod;
  };

  const remove = (set: KubeJson, pod: KubeJson): void => {
    const { name, namespace } = pod.metadata;
    context.remove("pods", namespace, name);
    record(set, "Normal", "SuccessfulDelete", `Delete Pod ${name} in StatefulSet ${set.metadata.name} successful`);
  };

  return {
    name: "statefulset",
    observe(event, add) {
      if (event.resource === RESOURCE) add(keyOf(event.object));
      else addOwners(context, event, "StatefulSet", RESOURCE, add);
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const set = store.get(RESOURCE, namespace, name);
      if (!set) return;
      const { spec } = set;
      const minReady = spec.minReadySeconds ?? 0;
      const wait = (pod: KubeJson | undefined): number | undefined => pod && untilAvailable(pod, minReady, clock.now());
      const byOrdinal = (): Map<number, KubeJson> => {
        const own = claimPods(context, set).filter(({ metadata }) => ordinalOf(set, metadata.name) !== undefined);
        return new Map(own.map((pod) => [ordinalOf(set, pod.metadata.name)!, pod]));
      };
      let pods = byOrdinal();
      const inUse = new Set([
        set["status"]?.currentRevision,
        ...[...pods.values()].map((pod) => pod.metadata.labels?.[REVISION_LABEL]),
      ]);
      const { update, all } = syncRevisions(context, set, inUse);
      const current = all.find((revision) => revision.metadata.name === set["status"]?.currentRevision) ?? update;
      if (!set.metadata.deletionTimestamp) {
        step(set, pods, { update, current, wait, create, remove });
        pods = byOrdinal();
        releaseClaims(context, set, pods);
      }
      const waits = [...pods.values()].map(wait).filter((ms): ms is number => ms !== undefined && ms > 0);
      if (waits.length > 0) again(Math.min(...waits));
      context.setStatus(RESOURCE, set, statusOf(set, [...pods.values()], update, current, wait));
    },
  };
}

interface Step {
  update: KubeJson;
  current: KubeJson;
  /** How long until the pod is available, in ms; undefined where it isn't ready. */
  wait(pod: KubeJson | undefined): number | undefined;
  create(set: KubeJson, ordinal: number, revision: KubeJson): KubeJson;
  remove(set: KubeJson, pod: KubeJson): void;
}

/** As much as can be done now without getting ahead of the order. */
function step(set: KubeJson, pods: ReadonlyMap<number, KubeJson>, { update, current, wait, create, remove }: Step): void {
  const { spec } = set;
  const ordered = spec.podManagementPolicy !== "Parallel";
  const start = spec.ordinals?.start ?? 0;
  const wanted = Array.from({ length: spec.replicas ?? 1 }, (_, i) => start + i);
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  const rolling = spec.updateStrategy?.type !== "OnDelete";
  const healthy = (pod: KubeJson | undefined): boolean => pod !== undefined && !pod.metadata.deletionTimestamp && wait(pod) === 0;

  for (const ordinal of wanted) {
    const pod = pods.get(ordinal);
    if (pod && isFinished(pod) && !pod.metadata.deletionTimestamp) {
      remove(set, pod);
      if (ordered) return;
    } else if (!pod) {
      create(set, ordinal, rolling && ordinal >= partition ? update : current);
      if (ordered) return;
    } else if (ordered && !healthy(pod)) return;
  }
  const surplus = [...pods].filter(([ordinal]) => !wanted.includes(ordinal)).sort(([a], [b]) => b - a);
  for (const [, pod] of surplus) {
    if (!pod.metadata.deletionTimestamp) remove(set, pod);
    if (ordered) return;
  }
  if (!rolling) return;
  for (const ordinal of wanted.toReversed()) {
    if (ordinal < partition) return;
    const pod = pods.get(ordinal);
    if (pod && pod.metadata.labels?.[REVISION_LABEL] !== update.metadata.name) {
      if (!pod.metadata.deletionTimestamp) remove(set, pod);
      return;
    }
    if (!healthy(pod)) return;
  }
}

function statusOf(set: KubeJson, pods: readonly KubeJson[], update: KubeJson, current: KubeJson, wait: Step["wait"]): Json {
  const of = (revision: KubeJson): number =>
    pods.filter((pod) => pod.metadata.labels?.[REVISION_LABEL] === revision.metadata.name && !pod.metadata.deletionTimestamp)
      .length;
  const replicas = pods.length;
  const ready = pods.filter(isReady).length;
  const updated = of(update);
  // A rollout to the end makes the new revision the current one.
  const done =
    updated === replicas &&
    replicas === (set["spec"].replicas ?? 1) &&
    ready === replicas &&
    !set["spec"].updateStrategy?.rollingUpdate?.partition;
  const base = done ? update : current;
  return {
    observedGeneration: set.metadata.generation,
    replicas,
    readyReplicas: some(ready),
    currentReplicas: some(of(base)),
    updatedReplicas: some(updated),
    availableReplicas: pods.filter((pod) => wait(pod) === 0).length,
    currentRevision: base.metadata.name,
    updateRevision: update.metadata.name,
    collisionCount: set["status"]?.collisionCount ?? 0,
  };
}

function ordinalOf(set: KubeJson, podName: string): number | undefined {
  const prefix = `${set.metadata.name}-`;
  const rest = podName.startsWith(prefix) ? podName.slice(prefix.length) : "";
  return /^\d+$/.test(rest) ? Number(rest) : undefined;
}

const claimName = (set: KubeJson, claim: Json, ordinal: number): string => `${claim.metadata.name}-${set.metadata.name}-${ordinal}`;

/** A claim of each template for the pod. What is there already is used again: that is the point of them. */
function createClaims(context: Context, set: KubeJson, ordinal: number): void {
  const { namespace } = set.metadata;
  const owned = set["spec"].persistentVolumeClaimRetentionPolicy?.whenDeleted === "Delete";
  for (const claim of set["spec"].volumeClaimTemplates ?? []) {
    const name = claimName(set, claim, ordinal);
    if (context.store.get("persistentvolumeclaims", namespace, name)) continue;
    context.create("persistentvolumeclaims", namespace!, {
      apiVersion: "v1",
      kind: "PersistentVolumeClaim",
      metadata: {
        ...(claim.metadata.annotations && { annotations: claim.metadata.annotations }),
        name,
        labels: { ...claim.metadata.labels, ...set["spec"].selector.matchLabels },
        ...(owned && { ownerReferences: [controllerReference(set)] }),
      },
      spec: claim.spec,
    });
  }
}

/** `whenScaled: Delete`: the claims of pods that are gone for good. */
function releaseClaims(context: Context, set: KubeJson, pods: ReadonlyMap<number, KubeJson>): void {
  const { spec, metadata } = set;
  if (spec.persistentVolumeClaimRetentionPolicy?.whenScaled !== "Delete") return;
  const start = spec.ordinals?.start ?? 0;
  const end = start + (spec.replicas ?? 1);
  for (const claim of spec.volumeClaimTemplates ?? []) {
    const prefix = `${claim.metadata.name}-${metadata.name}-`;
    for (const { metadata: found } of context.store.list("persistentvolumeclaims", metadata.namespace)) {
      const rest = found.name.startsWith(prefix) ? found.name.slice(prefix.length) : "";
      if (!/^\d+$/.test(rest)) continue;
      const ordinal = Number(rest);
      if ((ordinal < start || ordinal >= end) && !pods.has(ordinal))
        context.remove("persistentvolumeclaims", found.namespace, found.name);
    }
  }
}
