import type { Json } from "../json.ts";
import type { KubeJson, StoreEvent } from "../store.ts";
import type { Context } from "./context.ts";
import { controllerOf, controllerReference } from "./owners.ts";

export const isReady = (pod: KubeJson): boolean => condition(pod, "Ready")?.status === "True";

/** Neither at its end nor on its way there. */
export const isActive = (pod: KubeJson): boolean => !isFinished(pod) && !pod.metadata.deletionTimestamp;

/** On its way to its end. */
export const isTerminating = (pod: KubeJson): boolean => !isFinished(pod) && pod.metadata.deletionTimestamp !== undefined;

export const isFinished = (pod: KubeJson): boolean => pod["status"]?.phase === "Succeeded" || pod["status"]?.phase === "Failed";

/** How long until a ready pod counts as available, in ms: 0 where it does, undefined where it isn't ready. */
export function untilAvailable(pod: KubeJson, minReadySeconds: number, now: number): number | undefined {
  const ready = condition(pod, "Ready");
  if (ready?.status !== "True") return undefined;
  if (minReadySeconds === 0) return 0;
  return Math.max(0, Date.parse(ready.lastTransitionTime) + minReadySeconds * 1000 - now);
}

const condition = (object: KubeJson, type: string): Json =>
  object["status"]?.conditions?.find((entry: Json) => entry.type === type);

/** A pod of a template, controlled by `owner`. `metadata` has its name, or the beginning of a generated one. */
export function createPod(context: Context, owner: KubeJson, metadata: Json, change: (spec: Json) => void = () => {}): KubeJson {
  const { template } = owner["spec"];
  const spec = structuredClone(template.spec);
  change(spec);
  return context.create("pods", owner.metadata.namespace!, {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
      ...metadata,
      labels: { ...template.metadata?.labels, ...metadata.labels },
      ownerReferences: [controllerReference(owner)],
    },
    spec,
  });
}

/** Adds the controllers of `kind` that a change of a pod concerns: its own, and where it has none, those that might adopt it. */
export function addOwners(
  context: Context,
  { resource, type, object, previous }: StoreEvent,
  kind: string,
  plural: string,
  add: (key: string) => void,
): void {
  if (resource !== "pods") return;
  for (const owner of [controllerOf(object), controllerOf(previous)]) {
    if (owner?.kind === kind) add(`${object.metadata.namespace}/${owner.name}`);
  }
  if (type === "DELETED" || controllerOf(object)) return;
  const same = previous && object.metadata.labels === previous.metadata.labels && !controllerOf(previous);
  if (same || !object.metadata.labels) return;
  for (const { metadata } of context.store.list(plural, object.metadata.namespace)) add(`${metadata.namespace}/${metadata.name}`);
}
