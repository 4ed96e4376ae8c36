import { hasCode } from "@shipside/core";
import type { Cluster, KubeObject, ObjectRef, ResourceType } from "@shipside/kube";
import type { Journal } from "../journal.ts";
import { revertObjectRules } from "../rbac/undo.ts";
import { clusterAddress } from "./cluster-address.ts";
import { type ClusterPlace, find, nameOf, type ObjectData, refOf, storedType, typeOf, useOf } from "./cluster-object.ts";
import type { ResidueKind, Undone } from "./kind.ts";

/** RFC 6902. */
export type JsonPatch = ReadonlyArray<
  | { op: "test" | "add" | "replace"; path: string; value: unknown }
  | { op: "remove"; path: string }
  | { op: "move" | "copy"; path: string; from: string }
>;

interface ClusterPatchData extends ObjectData {
  /** Of the object that was changed: another one of its name is not ours to change. */
  uid: string;
  undo: JsonPatch;
}

export interface ClusterChange {
  ref: ObjectRef;
  uid: string;
  change: JsonPatch;
  /**
   * Takes the change back. Its `test` operations say how the object must look for that: as `change` leaves it. Where it doesn't, somebody
   * has edited it since, and it stays as it is. Stands in the journal: no secret may be in it.
   */
  undo: JsonPatch;
}

export interface MadeChange<T extends KubeObject> {
  readonly object: T;
  /** Takes it back and strikes it out. That the object is gone or was edited is borne, and told. */
  revert(): Promise<Undone>;
}

/** Changes an object that isn't ours in a way that is taken back whatever happens to this process. */
export async function makeClusterPatch<T extends KubeObject>(
  journal: Journal,
  { cluster, kubeconfig }: ClusterPlace,
  type: ResourceType<T>,
  { ref, uid, change, undo }: ClusterChange,
  session?: string,
  options: { signal?: AbortSignal } = {},
): Promise<MadeChange<T>> {
  if (!undo.some(({ op }) => op === "test")) throw new Error("an undo without a `test` could overwrite somebody's edit");
  const data: ClusterPatchData = {
    ...clusterAddress(cluster, kubeconfig),
    type: storedType(type),
    ...(type.namespaced && { namespace: ref.namespace ?? cluster.info.namespace }),
    name: ref.name,
    uid,
    undo,
  };
  const undone = await journal.record({ kind: clusterPatchResidue.kind, data }, session);
  try {
    const object = await cluster.patch(type, refOf(data), change, { kind: "json", ...options });
    return {
      object,
      async revert() {
        const how = await revert(cluster, data);
        await undone();
        return how;
      },
    };
  } catch (error) {
    // After a lost answer it may have been made all the same. Where that can't be seen now, the record stays.
    await revert(cluster, data).then(undone, () => {});
    throw error;
  }
}

async function revert(cluster: Cluster, data: ClusterPatchData): Promise<Undone> {
  const what = `the ${data.type.kind.toLowerCase()}`;
  const found = await find(cluster, data);
  if (!found) return { gone: true, said: `${what} is gone` };
  if (found.metadata.uid !== data.uid) {
    return { gone: true, said: `${what} was made anew since; it is left as it is` };
  }
  try {
    await cluster.patch(typeOf(data), refOf(data), data.undo, { kind: "json" });
    return {};
  } catch (error) {
    if (hasCode(error, "KUBE_NOT_FOUND")) return { gone: true, said: `${what} is gone` };
    // A `test` that doesn't hold: the change was never made, is taken back already, or somebody has edited it.
    if (hasCode(error, "KUBE_INVALID")) {
      return { gone: true, said: `${what} isn't as shipside left it; it is left as it is` };
    }
    throw error;
  }
}

export const clusterPatchResidue: ResidueKind<ClusterPatchData> = {
  kind: "cluster-patch",
  place: "cluster",
  describe: (data) => `the change of ${nameOf(data)}`,
  undo: async (data, { cluster }) => revert(await cluster(data), data),
  left: async (data) => `the change of ${nameOf(data)}`,
  rules: (data) => revertObjectRules(useOf(data)),
};
