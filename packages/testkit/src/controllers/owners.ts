import { labelSelectorRequirements, matchesLabels } from "../api/selectors.ts";
import type { KubeJson, ObjectMeta } from "../store.ts";
import type { Context } from "./context.ts";

type OwnerReference = NonNullable<ObjectMeta["ownerReferences"]>[number];

export const controllerOf = (object: KubeJson | undefined): OwnerReference | undefined =>
  object?.metadata.ownerReferences?.find((owner) => owner.controller);

export const controllerReference = ({ apiVersion, kind, metadata }: KubeJson): OwnerReference => ({
  apiVersion,
  kind,
  name: metadata.name,
  uid: metadata.uid,
  controller: true,
  blockOwnerDeletion: true,
});

/**
 * The objects that `owner` controls and its selector matches, in name order. Adopts those that nobody controls, releases those that
 * no longer match, as the real controllers' ref manager does.
 */
export function claim(context: Context, owner: KubeJson, resource: string, candidates: readonly KubeJson[]): KubeJson[] {
  const requirements = labelSelectorRequirements(owner["spec"].selector);
  if (!requirements) return [];
  const { namespace, uid, deletionTimestamp } = owner.metadata;
  const mine = new Map<string, KubeJson>();
  for (const { resource: kind, name } of context.objects.dependents(uid)) {
    const object = kind === resource ? context.store.get(kind, namespace, name) : undefined;
    if (!object || controllerOf(object)?.uid !== uid) continue;
    if (matchesLabels(requirements, object.metadata.labels) || deletionTimestamp) mine.set(name, object);
    else {
      context.store.mutate(resource, namespace, name, ({ metadata }) => {
        metadata.ownerReferences = metadata.ownerReferences!.filter((reference) => reference.uid !== uid);
      });
    }
  }
  if (!deletionTimestamp) {
    for (const object of candidates) {
      const { name } = object.metadata;
      if (mine.has(name) || controllerOf(object) || object.metadata.deletionTimestamp) continue;
      const adopted = context.store.mutate(resource, namespace, name, ({ metadata }) => {
        metadata.ownerReferences = [...(metadata.ownerReferences ?? []), controllerReference(owner)];
      });
      if (adopted) mine.set(name, adopted);
    }
  }
  return [...mine.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

export function claimPods(context: Context, owner: KubeJson): KubeJson[] {
  const requirements = labelSelectorRequirements(owner["spec"].selector) ?? [];
  return claim(context, owner, "pods", context.pods.matching(owner.metadata.namespace!, requirements));
}
