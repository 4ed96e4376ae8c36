import type { KubeJson, ObjectMeta } from "../store.ts";
import type { Context, Controller } from "./context.ts";
import type { ObjectRef } from "./object-index.ts";

const FOREGROUND = "foregroundDeletion";
const ORPHAN = "orphan";

/** Deletes what has lost its owners, and carries out foreground deletion and orphaning. Keys are uids. */
export function garbageCollector(context: Context): Controller {
  const { store, objects } = context;
  const get = (ref: ObjectRef | undefined): KubeJson | undefined => ref && store.get(ref.resource, ref.namespace, ref.name);
  const has = (object: KubeJson, finalizer: string): boolean => object.metadata.finalizers?.includes(finalizer) ?? false;

  const dropFinalizer = ({ resource, namespace, name }: ObjectRef, finalizer: string): void => {
    store.mutate(resource, namespace, name, ({ metadata }) => {
      metadata.finalizers = metadata.finalizers?.filter((other) => other !== finalizer) ?? [];
    });
  };
  const dropOwners = ({ resource, namespace, name }: ObjectRef, uids: readonly string[]): void => {
    store.mutate(resource, namespace, name, ({ metadata }) => {
      metadata.ownerReferences = metadata.ownerReferences?.filter(({ uid }) => !uids.includes(uid)) ?? [];
    });
  };

  /** An owner's deletion waits for its dependents. */
  const asOwner = (ref: ObjectRef, owner: KubeJson): void => {
    const { uid } = owner.metadata;
    if (has(owner, ORPHAN)) {
      for (const dependent of objects.dependents(uid)) dropOwners(dependent, [uid]);
      dropFinalizer(ref, ORPHAN);
    } else if (has(owner, FOREGROUND)) {
      for (const dependent of objects.dependents(uid)) asDependent(dependent);
      const blocked = objects
        .dependents(uid)
        .some((dependent) =>
          get(dependent)?.metadata.ownerReferences?.some((owned) => owned.uid === uid && owned.blockOwnerDeletion),
        );
      if (!blocked) dropFinalizer(ref, FOREGROUND);
    }
  };

  const asDependent = (ref: ObjectRef): void => {
    const object = get(ref);
    const owners = object?.metadata.ownerReferences;
    if (!object || !owners?.length || object.metadata.deletionTimestamp) return;
    const waiting: string[] = [];
    const gone: string[] = [];
    for (const { uid } of owners) {
      const owner = get(objects.find(uid));
      if (!owner) gone.push(uid);
      else if (owner.metadata.deletionTimestamp && has(owner, FOREGROUND)) waiting.push(uid);
    }
    if (gone.length + waiting.length === 0) return;
    if (gone.length + waiting.length < owners.length) dropOwners(ref, [...gone, ...waiting]);
    else {
      const ownsMore = waiting.length > 0 && objects.dependents(object.metadata.uid).length > 0;
      context.remove(ref.resource, ref.namespace, ref.name, {
        propagationPolicy: ownsMore ? "Foreground" : policyOf(object.metadata),
      });
    }
  };

  return {
    name: "garbage-collector",
    observe({ type, object, previous }, add) {
      const { uid, ownerReferences, deletionTimestamp } = object.metadata;
      if (type === "DELETED") {
        for (const { resource, namespace, name } of objects.dependents(uid))
          add(store.get(resource, namespace, name)!.metadata.uid);
        for (const owner of ownerReferences ?? []) add(owner.uid);
      } else if (deletionTimestamp || (ownerReferences && ownerReferences !== previous?.metadata.ownerReferences)) add(uid);
      if (previous?.metadata.ownerReferences && previous.metadata.ownerReferences !== ownerReferences)
        for (const owner of previous.metadata.ownerReferences) add(owner.uid);
    },
    reconcile(uid) {
      const ref = objects.find(uid);
      const object = get(ref);
      if (!ref || !object) return;
      if (object.metadata.deletionTimestamp) asOwner(ref, object);
      else asDependent(ref);
    },
  };
}

const policyOf = ({ finalizers = [] }: ObjectMeta): string =>
  finalizers.includes(ORPHAN) ? "Orphan" : finalizers.includes(FOREGROUND) ? "Foreground" : "Background";
