import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseQuantity } from "@shipside/core";
import type { KubeJson, Store } from "../../store.ts";

const DEFAULT_CLASS = "standard";
const PROVISIONER = "shipside.dev/local-directory";

export interface Claims {
  /** Binds the claim if it can be bound. True where it is bound. */
  bind(namespace: string, name: string): boolean;
  close(): void;
}

/**
 * Binds PersistentVolumeClaims: to a volume that fits, else (class `standard`) to a new one, a directory under `directory`. A volume
 * that was made here goes with its claim.
 */
export function startClaims(options: { store: Store; directory: string; nodeName: string }): Claims {
  const { store, directory, nodeName } = options;
  if (!store.get("storageclasses.storage.k8s.io", undefined, DEFAULT_CLASS)) {
    store.create("storageclasses.storage.k8s.io", {
      apiVersion: "storage.k8s.io/v1",
      kind: "StorageClass",
      metadata: { name: DEFAULT_CLASS, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner: PROVISIONER,
      reclaimPolicy: "Delete",
      volumeBindingMode: "Immediate",
    });
  }

  const provision = (claim: KubeJson): KubeJson => {
    const name = `pvc-${claim.metadata.uid}`;
    const path = join(directory, name);
    mkdirSync(path, { recursive: true, mode: 0o777 });
    return store.create("persistentvolumes", {
      apiVersion: "v1",
      kind: "PersistentVolume",
      metadata: { name, annotations: { "pv.kubernetes.io/provisioned-by": PROVISIONER } },
      spec: {
        capacity: { storage: claim["spec"].resources?.requests?.storage ?? "1Gi" },
        accessModes: claim["spec"].accessModes,
        persistentVolumeReclaimPolicy: "Delete",
        storageClassName: DEFAULT_CLASS,
        volumeMode: "Filesystem",
        local: { path },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: "kubernetes.io/hostname", operator: "In", values: [nodeName] }] }],
          },
        },
      },
      status: { phase: "Available" },
    });
  };

  const bind = (namespace: string, name: string): boolean => {
    const claim = store.get("persistentvolumeclaims", namespace, name);
    if (!claim || claim.metadata.deletionTimestamp) return false;
    if (claim["status"]?.phase === "Bound") return true;
    const className: string = claim["spec"].storageClassName ?? DEFAULT_CLASS;
    const volume =
      store.list("persistentvolumes").find((pv) => fits(pv, claim, className)) ??
      (className === DEFAULT_CLASS && !claim["spec"].volumeName ? provision(claim) : undefined);
    if (!volume) return false;
    const volumeName = volume.metadata.name;
    store.mutate("persistentvolumes", undefined, volumeName, (pv) => {
      pv["spec"].claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid: claim.metadata.uid };
      pv["status"] = { ...pv["status"], phase: "Bound" };
    });
    store.mutate("persistentvolumeclaims", namespace, name, (pvc) => {
      pvc["spec"].volumeName = volumeName;
      pvc["spec"].storageClassName ??= className;
      pvc["spec"].volumeMode ??= "Filesystem";
      pvc.metadata.annotations = { ...pvc.metadata.annotations, "pv.kubernetes.io/bind-completed": "yes" };
      pvc["status"] = { phase: "Bound", accessModes: volume["spec"].accessModes, capacity: volume["spec"].capacity };
    });
    return true;
  };

  const release = (claim: KubeJson): void => {
    const volume = store.get("persistentvolumes", undefined, claim["spec"].volumeName ?? "");
    if (!volume || volume["spec"].claimRef?.uid !== claim.metadata.uid) return;
    if (volume["spec"].persistentVolumeReclaimPolicy === "Delete" && volume["spec"].local?.path.startsWith(directory)) {
      store.remove("persistentvolumes", undefined, volume.metadata.name);
      rmSync(volume["spec"].local.path, { recursive: true, force: true });
    } else {
      store.mutate("persistentvolumes", undefined, volume.metadata.name, (pv) => {
        pv["status"] = { ...pv["status"], phase: "Released" };
      });
    }
  };

  const stop = store.subscribe(({ type, resource, object }) => {
    if (resource === "persistentvolumeclaims") {
      if (type === "DELETED") setImmediate(release, object);
      else if (object["status"]?.phase !== "Bound") setImmediate(bind, object.metadata.namespace!, object.metadata.name);
    } else if (resource === "persistentvolumes" && type === "ADDED") {
      setImmediate(bindAll);
    }
  });
  const bindAll = (): void => {
    for (const { metadata } of store.list("persistentvolumeclaims")) bind(metadata.namespace!, metadata.name);
  };
  bindAll();
  return { bind, close: stop };
}

function fits(pv: KubeJson, claim: KubeJson, className: string): boolean {
  const { claimRef, accessModes = [], capacity, storageClassName = "" } = pv["spec"];
  if (claimRef) {
    const mine = claimRef.namespace === claim.metadata.namespace && claimRef.name === claim.metadata.name;
    if (!mine || (claimRef.uid && claimRef.uid !== claim.metadata.uid)) return false;
  }
  const wanted = claim["spec"];
  if (wanted.volumeName && wanted.volumeName !== pv.metadata.name) return false;
  if (pv["status"]?.phase && pv["status"].phase !== "Available" && !claimRef) return false;
  return (
    storageClassName === className &&
    (wanted.accessModes ?? []).every((mode: string) => accessModes.includes(mode)) &&
    (parseQuantity(capacity?.storage ?? "0") ?? 0) >= (parseQuantity(wanted.resources?.requests?.storage ?? "0") ?? 0)
  );
}

/** The directory behind a bound claim. Throws where it isn't bound, or is of a kind that this node can't mount. */
export function claimDirectory(store: Store, namespace: string, name: string): string {
  const claim = store.get("persistentvolumeclaims", namespace, name);
  if (!claim) throw new Error(`persistentvolumeclaim "${name}" not found`);
  const volume = store.get("persistentvolumes", undefined, claim["spec"].volumeName ?? "");
  if (!volume) throw new Error(`persistentvolumeclaim "${name}" is not bound`);
  const path: string | undefined = volume["spec"].local?.path ?? volume["spec"].hostPath?.path;
  if (path === undefined) throw new Error(`this node has no driver for the volume ${volume.metadata.name}`);
  mkdirSync(path, { recursive: true });
  return path;
}
