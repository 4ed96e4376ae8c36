import { randomUUID } from "node:crypto";
import { withoutEmpty } from "./api/empty-metadata.ts";
import { alreadyExists, conflict, notFound } from "./api/status.ts";
import { copyJson, freezeSharing, sameJson } from "./json.ts";
import type { KubeJson, ObjectMeta, Store, StoreEvent } from "./store.ts";

export interface StoreOptions {
  /** How many changes are kept for each resource, for watches that start in the past. Default 2,048. */
  history?: number;
  /** The clock. Default `Date.now`. */
  now?: () => number;
}

/** Kinds whose `metadata.generation` the real server leaves unset. */
const WITHOUT_GENERATION = new Set([
  "bindings",
  "configmaps",
  "endpoints",
  "events",
  "events.events.k8s.io",
  "limitranges",
  "namespaces",
  "nodes",
  "persistentvolumeclaims",
  "persistentvolumes",
  "podtemplates",
  "resourcequotas",
  "secrets",
  "serviceaccounts",
  "services",
  "leases.coordination.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
  "storageclasses.storage.k8s.io",
]);

/** One resource's objects in key order, and its latest changes. */
interface Shelf {
  objects: Map<string, KubeJson>;
  keys: string[];
  log: StoreEvent[];
  /** Changes up to this revision are gone from the log. */
  floor: number;
}

const keyOf = (namespace: string | undefined, name: string): string => (namespace ? `${namespace}/${name}` : name);

/** First index whose key isn't less than `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The controller's: the real one writes it together with the status. */
const REVISION = "deployment.kubernetes.io/revision";

/** What the user asks for: a change of it is a new generation. A Deployment's own annotations count, a pod's node doesn't. */
function desired(resource: string, object: KubeJson): object {
  const { metadata, status: _status, ...rest } = object;
  if (resource === "deployments.apps") {
    const annotations = Object.entries(metadata.annotations ?? {}).filter(([key]) => key !== REVISION);
    return { ...rest, annotations: Object.fromEntries(annotations) };
  }
  return resource === "pods" ? { ...rest, spec: { ...rest["spec"], nodeName: undefined } } : rest;
}

/** An empty one. Nothing in it defaults or validates: that is the API server's and the embedded cluster's. */
export function createStore(options: StoreOptions = {}): Store {
  const { history = 2048, now = Date.now } = options;
  const shelves = new Map<string, Shelf>();
  const listeners = new Set<(event: StoreEvent) => void>();
  const queue: StoreEvent[] = [];
  let delivering = false;
  let revision = 1;

  const shelfOf = (resource: string): Shelf => {
    let shelf = shelves.get(resource);
    if (!shelf) shelves.set(resource, (shelf = { objects: new Map(), keys: [], log: [], floor: 0 }));
    return shelf;
  };

  /** Subscribers see changes in order even where one of them makes the next. */
  const publish = (shelf: Shelf, event: StoreEvent): void => {
    shelf.log.push(event);
    if (shelf.log.length > history * 2) {
      shelf.log.splice(0, shelf.log.length - history);
      shelf.floor = shelf.log[0]!.revision - 1;
    }
    queue.push(event);
    if (delivering) return;
    delivering = true;
    const errors: unknown[] = [];
    for (let next = queue.shift(); next; next = queue.shift()) {
      for (const listener of [...listeners]) {
        try {
          listener(next);
        } catch (error) {
          errors.push(error);
        }
      }
    }
    delivering = false;
    if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors, "several subscribers failed");
  };

  const drop = (resource: string, shelf: Shelf, key: string, last: KubeJson): KubeJson => {
    revision++;
    const previous = shelf.objects.get(key)!;
    const object = freezeSharing({ ...last, metadata: { ...last.metadata, resourceVersion: String(revision) } }, previous);
    shelf.objects.delete(key);
    shelf.keys.splice(lowerBound(shelf.keys, key), 1);
    publish(shelf, { type: "DELETED", resource, object, previous, revision });
    return object;
  };

  /** Nothing keeps a deleted object any longer. */
  const finished = (object: KubeJson): boolean =>
    object.metadata.deletionTimestamp !== undefined &&
    !object.metadata.finalizers?.length &&
    !object.metadata.deletionGracePeriodSeconds &&
    !(object.kind === "Namespace" && object["spec"]?.finalizers?.length);

  const store: Store = {
    get revision() {
      return revision;
    },

    get: (resource, namespace, name) => shelfOf(resource).objects.get(keyOf(namespace, name)),

    list(resource, namespace) {
      const { keys, objects } = shelfOf(resource);
      if (!namespace) return keys.map((key) => objects.get(key)!);
      // "0" is the character after "/".
      return keys.slice(lowerBound(keys, `${namespace}/`), lowerBound(keys, `${namespace}0`)).map((key) => objects.get(key)!);
    },

    create(resource, object) {
      const shelf = shelfOf(resource);
      const { name, namespace } = object.metadata;
      if (!name) throw new TypeError(`a ${object.kind} without a name can't be stored`);
      const key = keyOf(namespace, name);
      if (shelf.objects.has(key)) throw alreadyExists(resource, name);
      revision++;
      const metadata: Partial<ObjectMeta> = withoutEmpty({
        ...object.metadata,
        uid: object.metadata.uid ?? randomUUID(),
        resourceVersion: String(revision),
        creationTimestamp: object.metadata.creationTimestamp ?? `${new Date(now()).toISOString().slice(0, 19)}Z`,
      });
      if (WITHOUT_GENERATION.has(resource)) delete metadata.generation;
      else metadata.generation = 1;
      const stored = freezeSharing({ ...object, metadata }) as KubeJson;
      shelf.objects.set(key, stored);
      shelf.keys.splice(lowerBound(shelf.keys, key), 0, key);
      publish(shelf, { type: "ADDED", resource, object: stored, revision });
      return stored;
    },

    update(resource, object) {
      const shelf = shelfOf(resource);
      const { name, namespace } = object.metadata;
      const key = keyOf(namespace, name);
      const previous = shelf.objects.get(key);
      if (!previous) throw notFound(resource, name);
      const was = previous.metadata;
      if (object.metadata.resourceVersion && object.metadata.resourceVersion !== was.resourceVersion)
        throw conflict(resource, name);
      if (object.metadata.uid && object.metadata.uid !== was.uid) {
        throw conflict(
          resource,
          name,
          `StorageError: invalid object, Code: 4, Key: /registry/${resource}/${key}, ResourceVersion: 0, AdditionalErrorMsg: ` +
            `Precondition failed: UID in precondition: ${object.metadata.uid}, UID in object meta: ${was.uid}`,
        );
      }
      const metadata: ObjectMeta = withoutEmpty({
        ...object.metadata,
        uid: was.uid,
        creationTimestamp: was.creationTimestamp,
        resourceVersion: was.resourceVersion,
      });
      if (was.generation === undefined) delete metadata.generation;
      else metadata.generation = was.generation;
      const unchanged = freezeSharing({ ...object, metadata }, previous);
      if (finished(unchanged)) return drop(resource, shelf, key, unchanged);
      if (unchanged === previous) return previous;
      if (was.generation !== undefined) {
        const deletionBegins = metadata.deletionTimestamp !== undefined && was.deletionTimestamp === undefined;
        if (deletionBegins || !sameJson(desired(resource, unchanged), desired(resource, previous)))
          metadata.generation = was.generation + 1;
      }
      revision++;
      metadata.resourceVersion = String(revision);
      const stored = freezeSharing({ ...unchanged, metadata }, previous);
      shelf.objects.set(key, stored);
      publish(shelf, { type: "MODIFIED", resource, object: stored, previous, revision });
      return stored;
    },

    mutate(resource, namespace, name, change) {
      for (;;) {
        const current = store.get(resource, namespace, name);
        if (!current) return undefined;
        const copy = copyJson(current);
        change(copy);
        // Only where `change` itself has written the same object is there anything to conflict with.
        if (store.get(resource, namespace, name) !== current) continue;
        return store.update(resource, copy);
      }
    },

    remove(resource, namespace, name) {
      const shelf = shelfOf(resource);
      const key = keyOf(namespace, name);
      const object = shelf.objects.get(key);
      return object && drop(resource, shelf, key, object);
    },

    subscribe(listener) {
      // Its own function, so that the same listener may be given twice.
      const entry = (event: StoreEvent): void => listener(event);
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },

    since(resource, after) {
      const { log, floor } = shelfOf(resource);
      if (after < floor) return undefined;
      let from = log.length;
      while (from > 0 && log[from - 1]!.revision > after) from--;
      return log.slice(from);
    },

    listAt(resource, namespace, at) {
      const changes = store.since(resource, at);
      if (!changes) return undefined;
      if (changes.length === 0) return store.list(resource, namespace);
      const objects = new Map(shelfOf(resource).objects);
      for (const change of changes.reverse()) {
        const key = keyOf(change.object.metadata.namespace, change.object.metadata.name);
        if (change.previous) objects.set(key, change.previous);
        else objects.delete(key);
      }
      return [...objects]
        .filter(([key]) => !namespace || key.startsWith(`${namespace}/`))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, object]) => object);
    },

    compact() {
      for (const shelf of shelves.values()) {
        shelf.log = [];
        shelf.floor = revision;
      }
    },
  };
  return store;
}
