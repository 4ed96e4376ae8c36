import type { KubeJson, Store, StoreEvent } from "../store.ts";

export interface ObjectRef {
  resource: string;
  namespace: string | undefined;
  name: string;
}

/** Every object by uid, by its owners, and by its namespace: what garbage collection and namespace deletion go by. */
export interface ObjectIndex {
  observe(event: StoreEvent): void;
  find(uid: string): ObjectRef | undefined;
  /** Objects that name `uid` among their owners. */
  dependents(uid: string): ObjectRef[];
  contents(namespace: string): ObjectRef[];
}

export function createObjectIndex(store: Store, resources: readonly string[]): ObjectIndex {
  const objects = new Map<string, ObjectRef>();
  const byOwner = new Map<string, Set<string>>();
  const byNamespace = new Map<string, Set<string>>();
  const put = (map: Map<string, Set<string>>, key: string, uid: string): void => {
    const known = map.get(key);
    if (known) known.add(uid);
    else map.set(key, new Set([uid]));
  };
  const take = (map: Map<string, Set<string>>, key: string, uid: string): void => {
    const known = map.get(key);
    known?.delete(uid);
    if (known?.size === 0) map.delete(key);
  };
  const add = (resource: string, { metadata }: KubeJson): void => {
    objects.set(metadata.uid, { resource, namespace: metadata.namespace, name: metadata.name });
    for (const owner of metadata.ownerReferences ?? []) put(byOwner, owner.uid, metadata.uid);
    if (metadata.namespace) put(byNamespace, metadata.namespace, metadata.uid);
  };
  const remove = ({ metadata }: KubeJson): void => {
    objects.delete(metadata.uid);
    for (const owner of metadata.ownerReferences ?? []) take(byOwner, owner.uid, metadata.uid);
    if (metadata.namespace) take(byNamespace, metadata.namespace, metadata.uid);
  };
  for (const resource of resources) for (const object of store.list(resource)) add(resource, object);
  const refs = (uids: Set<string> | undefined): ObjectRef[] => [...(uids ?? [])].map((uid) => objects.get(uid)!);
  return {
    observe({ type, resource, object, previous }) {
      if (type === "MODIFIED" && object.metadata.ownerReferences === previous?.metadata.ownerReferences) return;
      if (previous) remove(previous);
      if (type !== "DELETED") add(resource, object);
    },
    find: (uid) => objects.get(uid),
    dependents: (uid) => refs(byOwner.get(uid)),
    contents: (namespace) => refs(byNamespace.get(namespace)),
  };
}
