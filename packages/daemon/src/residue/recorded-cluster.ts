import type { Closable } from "@shipside/core";
import type { Cluster, KubeObject, ObjectRef, ResourceType } from "@shipside/kube";
import type { Journal } from "../journal.ts";
import { type ClusterPlace, type MadeObject, makeClusterObject } from "./cluster-object.ts";

export interface RecordedCluster extends Closable {
  /** The same cluster; what is created through it is on record first, and struck out when it is deleted through it. */
  readonly cluster: Cluster;
  /** Deletes what is still there of it, newest first. Throws what could not be deleted, after all others are. */
  close(): Promise<void>;
}

/**
 * For libraries that create objects and know no journal: they get this cluster instead. What has an owner goes with it and isn't recorded,
 * and neither are dry runs, nor changes of objects that exist: those take a `makeClusterPatch`.
 */
export function recordCluster(journal: Journal, place: ClusterPlace, session?: string): RecordedCluster {
  const { cluster } = place;
  const made = new Map<string, MadeObject<KubeObject>>();
  const keyOf = (type: ResourceType, { name, namespace = cluster.info.namespace }: ObjectRef): string =>
    JSON.stringify([type.group, type.plural, type.namespaced ? namespace : undefined, name]);

  const create: Cluster["create"] = async <T extends KubeObject>(
    type: ResourceType<T>,
    object: T,
    options: { dryRun?: boolean; signal?: AbortSignal } = {},
  ) => {
    if (options.dryRun || (object.metadata.ownerReferences ?? []).length > 0) return cluster.create(type, object, options);
    const mine = await makeClusterObject(journal, place, type, object, session, options);
    made.set(keyOf(type, object.metadata), mine);
    return mine.object;
  };
  const remove: Cluster["delete"] = async (type, ref, options) => {
    await cluster.delete(type, ref, options);
    const key = keyOf(type, ref);
    const mine = made.get(key);
    made.delete(key);
    await mine?.remove();
  };
  const close = async (): Promise<void> => {
    const errors: unknown[] = [];
    for (const [key, mine] of [...made].reverse()) {
      try {
        await mine.remove();
        made.delete(key);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, `${errors.length} objects could not be deleted`);
  };
  return {
    // Everything else, `info` too, is the cluster's own.
    cluster: Object.create(cluster, { create: { value: create }, delete: { value: remove } }) as Cluster,
    close,
    [Symbol.asyncDispose]: close,
  };
}
