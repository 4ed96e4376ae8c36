import { randomBytes } from "node:crypto";
import { hasCode } from "@shipside/core";
import type { Cluster, KubeObject, ResourceType } from "@shipside/kube";
import type { Journal } from "../journal.ts";
import { type ObjectUse, removeObjectRules } from "../rbac/undo.ts";
import { type ClusterAddress, clusterAddress } from "./cluster-address.ts";
import type { ResidueKind, Undone } from "./kind.ts";

/** On every object that we create, for who looks for them by hand. */
const MANAGED_BY = { "app.kubernetes.io/managed-by": "shipside" } as const;
/** Says which record an object was created for. A uid would come too late for a crash between the record and the creation's answer. */
export const RECORD_ANNOTATION = "shipside.dev/record";

/** Which object, as a journal keeps it. */
export interface ObjectData extends Record<string, unknown>, ClusterAddress {
  type: Omit<ResourceType, "shortNames" | "_object">;
  namespace?: string;
  name: string;
}

interface ClusterObjectData extends ObjectData {
  /** The value of its annotation. */
  record: string;
}

/** A connected cluster, and the kubeconfig it was connected with: where it is missing, what a connection takes without one. */
export interface ClusterPlace {
  cluster: Cluster;
  kubeconfig?: string;
}

export interface MadeObject<T extends KubeObject> {
  readonly object: T;
  /** Deletes it and strikes it out. Gone is fine, and so is another object that has its name by now: that one stays. */
  remove(): Promise<void>;
}

/**
 * Creates an object that is deleted again whatever happens to this process. It gets the label `app.kubernetes.io/managed-by=shipside` and an
 * annotation that names the record; only an object that bears it is ever deleted. What an owner reference ties to such an object
 * needs no record of its own.
 */
export async function makeClusterObject<T extends KubeObject>(
  journal: Journal,
  { cluster, kubeconfig }: ClusterPlace,
  type: ResourceType<T>,
  object: T,
  session?: string,
  options: { signal?: AbortSignal } = {},
): Promise<MadeObject<T>> {
  const { name, namespace = cluster.info.namespace, labels, annotations } = object.metadata;
  const record = `${journal.run}-${randomBytes(4).toString("hex")}`;
  const data: ClusterObjectData = {
    ...clusterAddress(cluster, kubeconfig),
    type: storedType(type),
    ...(type.namespaced && { namespace }),
    name,
    record,
  };
  const undone = await journal.record({ kind: clusterObjectResidue.kind, data }, session);
  try {
    const metadata = {
      ...object.metadata,
      labels: { ...labels, ...MANAGED_BY },
      annotations: { ...annotations, [RECORD_ANNOTATION]: record },
    };
    const created = await cluster.create(type, { ...object, metadata }, options);
    return {
      object: created,
      async remove() {
        await remove(cluster, data);
        await undone();
      },
    };
  } catch (error) {
    // After a lost answer it may be there all the same. Where that can't be seen now, the record stays.
    await remove(cluster, data).then(undone, () => {});
    throw error;
  }
}

export function storedType<T extends KubeObject>({
  group,
  version,
  plural,
  kind,
  namespaced,
}: ResourceType<T>): ObjectData["type"] {
  return { group, version, plural, kind, namespaced };
}

export const typeOf = ({ type }: ObjectData): ResourceType => ({ ...type, shortNames: [] });

export const refOf = ({ name, namespace }: ObjectData): { name: string; namespace?: string } => ({
  name,
  ...(namespace !== undefined && { namespace }),
});

/** As a rule names it. */
export const useOf = ({ type, namespace, name }: ObjectData): ObjectUse => ({
  ...{ group: type.group, resource: type.plural, namespace, name },
});

export const nameOf = ({ type, namespace, name, context }: ObjectData): string =>
  `${type.kind.toLowerCase()} ${namespace === undefined ? name : `${namespace}/${name}`} in context ${context}`;

/** Undefined where it is gone. */
export async function find(cluster: Cluster, data: ObjectData): Promise<KubeObject | undefined> {
  try {
    return await cluster.get(typeOf(data), refOf(data));
  } catch (error) {
    // A custom kind may have gone with its definition.
    if (hasCode(error, "KUBE_NOT_FOUND", "KUBE_KIND_UNKNOWN")) return undefined;
    throw error;
  }
}

async function remove(cluster: Cluster, data: ClusterObjectData): Promise<Undone> {
  const found = await find(cluster, data);
  if (found?.metadata.annotations?.[RECORD_ANNOTATION] !== data.record) return { gone: true };
  try {
    await cluster.delete(typeOf(data), refOf(data), {
      propagation: "Background",
      ...(found.metadata.uid !== undefined && { uid: found.metadata.uid }),
    });
  } catch (error) {
    // Another object took its name in between.
    if (!hasCode(error, "KUBE_CONFLICT")) throw error;
    return { gone: true };
  }
  return {};
}

export const clusterObjectResidue: ResidueKind<ClusterObjectData> = {
  kind: "cluster-object",
  place: "cluster",
  describe: nameOf,
  undo: async (data, { cluster }) => remove(await cluster(data), data),
  left: async (data) => nameOf(data),
  rules: (data) => removeObjectRules(useOf(data)),
};
