/** A Kubernetes object as JSON. */
// biome-ignore lint/suspicious/noExplicitAny: objects of any kind, read and written by their API paths
export type KubeJson = { apiVersion: string; kind: string; metadata: ObjectMeta; [field: string]: any };

export interface ObjectMeta {
  name: string;
  namespace?: string;
  generateName?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: Array<{
    apiVersion: string;
    kind: string;
    name: string;
    uid: string;
    controller?: boolean;
    blockOwnerDeletion?: boolean;
  }>;
  managedFields?: unknown[];
}

export interface StoreEvent {
  type: "ADDED" | "MODIFIED" | "DELETED";
  /** `plural` or `plural.group`: "pods", "deployments.apps". */
  resource: string;
  object: KubeJson;
  previous?: KubeJson;
  /** The version of this change. */
  revision: number;
}

/**
 * The cluster's state: what etcd and the generic registry are to the real one. Synchronous and in memory; objects that come out are
 * frozen. The API server, the controllers and the node all work on this, each change is seen by every subscriber in order.
 */
export interface Store {
  readonly revision: number;
  get(resource: string, namespace: string | undefined, name: string): KubeJson | undefined;
  /** In key order (namespace, name), as etcd lists. */
  list(resource: string, namespace?: string): KubeJson[];
  /** Sets uid, creationTimestamp, resourceVersion, generation. Throws Status 409 AlreadyExists. */
  create(resource: string, object: Omit<KubeJson, "metadata"> & { metadata: Partial<ObjectMeta> }): KubeJson;
  /**
   * Replaces an object. Throws Status 404, and 409 Conflict where `object.metadata.resourceVersion` is set and isn't the current one.
   * A change of anything but metadata and status raises `generation`. An object with a deletionTimestamp and no finalizer left (and
   * no grace period to wait for) goes. No change, no event.
   */
  update(resource: string, object: KubeJson): KubeJson;
  /** Read, change a copy, update; again on a conflict. For controllers and the node. Undefined where the object is gone. */
  mutate(resource: string, namespace: string | undefined, name: string, change: (copy: KubeJson) => void): KubeJson | undefined;
  /** Removes now, whatever the finalizers: graceful deletion is the API's and the node's work. */
  remove(resource: string, namespace: string | undefined, name: string): KubeJson | undefined;
  /** Called synchronously after each change. Returns its undo. */
  subscribe(listener: (event: StoreEvent) => void): () => void;
  /** The changes of a resource after `revision`, or undefined where they are no longer kept (410 Expired). */
  since(resource: string, revision: number): StoreEvent[] | undefined;
  /** As `list`, at an earlier revision; undefined where the changes since then are no longer kept (410 Expired). */
  listAt(resource: string, namespace: string | undefined, revision: number): KubeJson[] | undefined;
  /** Forgets all changes up to now, as etcd's compaction does: who asks for an older version gets 410 Expired. */
  compact(): void;
}
