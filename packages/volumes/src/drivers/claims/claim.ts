import { posix } from "node:path";
import { hasCode, type VolumeMountRequest } from "@shipside/core";
import type { Cluster, KubeObject, Pod, ResourceType } from "@shipside/kube";
import { volumesError } from "../../errors.ts";

/** core/v1 */
export interface PersistentVolumeClaim extends KubeObject {
  spec: { accessModes?: string[]; volumeMode?: string; volumeName?: string };
  status?: { phase?: string; accessModes?: string[] };
}

const CLAIMS: ResourceType<PersistentVolumeClaim> = {
  ...{ group: "", version: "v1", plural: "persistentvolumeclaims", kind: "PersistentVolumeClaim" },
  ...{ namespaced: true, shortNames: ["pvc"] },
};

/** What a request means by a path in a pod, in terms of a claim. */
export interface ClaimedPath {
  claim: string;
  /** Below the claim's root; empty for the root itself. */
  path: string;
  /** As the pod mounts the claim, whatever its containers do. */
  readOnly: boolean;
  /** Where the container sees what its node mounts inside the volume later. What the container mounts itself only a privileged one can hand on. */
  mountPropagation?: "HostToContainer";
}

type Wanted = Pick<VolumeMountRequest, "volume" | "remotePath" | "container" | "subPath">;

/** Pure. Throws `VOLUMES_NOT_MOUNTED`, `VOLUMES_KIND_UNSUPPORTED`. */
export function claimedPath(pod: Pod, { volume: name, remotePath, container: wanted, subPath }: Wanted): ClaimedPath {
  const what = `volume ${name} of pod ${pod.metadata.namespace}/${pod.metadata.name}`;
  const volume = pod.spec.volumes?.find((each) => each.name === name);
  const source = volume?.["persistentVolumeClaim"] as { claimName: string; readOnly?: boolean } | undefined;
  const claim = source?.claimName ?? (volume?.["ephemeral"] ? `${pod.metadata.name}-${name}` : undefined);
  if (claim === undefined) {
    throw volumesError("VOLUMES_KIND_UNSUPPORTED", `${what} is no PersistentVolumeClaim: no other pod can mount it`, {
      hint: "the snapshot driver copies it out of its own pod",
    });
  }
  const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
  const container = wanted === undefined ? containers[0] : containers.find((each) => each.name === wanted);
  const all = container?.volumeMounts?.filter((each) => each.name === name) ?? [];
  const mounts = all.filter(({ mountPath }) => isBelow(remotePath, mountPath));
  const mount = mounts.sort((a, b) => b.mountPath.length - a.mountPath.length)[0];
  if (!mount) {
    const places = all.map(({ mountPath }) => mountPath).join(", ");
    const mounter = `container ${container?.name ?? wanted}`;
    throw volumesError("VOLUMES_NOT_MOUNTED", `${what} is not mounted at ${remotePath}`, {
      hint: all.length > 0 ? `${mounter} mounts it at ${places}` : `${mounter} doesn't mount it: name another with --container`,
    });
  }
  const rest = posix.relative(mount.mountPath, remotePath);
  return {
    claim,
    path: posix.join(subPath ?? mount.subPath ?? "", rest).replace(/^\.$/, ""),
    readOnly: source?.readOnly === true,
    ...(/^(HostToContainer|Bidirectional)$/.test(String(mount["mountPropagation"])) && { mountPropagation: "HostToContainer" }),
  };
}

function isBelow(path: string, root: string): boolean {
  const relative = posix.relative(root, path);
  return relative !== ".." && !relative.startsWith("../");
}

export interface ClaimPlace {
  /** Undefined for any. */
  nodeName?: string;
  readOnly: boolean;
}

/**
 * Where a pod has to be that is to mount the claim beside the workload's, which mounts it so. A claim that may also be written by one node is
 * on that one where it is written: elsewhere it could at best be read. Pure. Throws `VOLUMES_CLAIM_UNBOUND`, `VOLUMES_CLAIM_EXCLUSIVE`,
 * `VOLUMES_KIND_UNSUPPORTED`.
 */
export function placeFor(claim: PersistentVolumeClaim, pod: Pod, readOnly: boolean): ClaimPlace {
  assertBound(claim);
  const { name, namespace } = claim.metadata;
  const what = `PersistentVolumeClaim ${namespace}/${name}`;
  if (claim.spec.volumeMode === "Block")
    throw volumesError("VOLUMES_KIND_UNSUPPORTED", `${what} is a block device, which has no files`, {
      hint: "name the volumes that are wanted with --only",
    });
  const modes = claim.status?.accessModes ?? claim.spec.accessModes ?? [];
  if (modes.length > 0 && modes.every((mode) => mode === "ReadWriteOncePod")) {
    throw volumesError("VOLUMES_CLAIM_EXCLUSIVE", `${what} is ReadWriteOncePod, and pod ${pod.metadata.name} has it`, {
      hint: "the snapshot driver copies it out of that pod",
    });
  }
  const onlyRead = modes.length > 0 && modes.every((mode) => mode === "ReadOnlyMany");
  const reads = readOnly || onlyRead;
  const anywhere = modes.includes("ReadWriteMany") || (reads && modes.includes("ReadOnlyMany"));
  return { ...(!anywhere && pod.spec.nodeName !== undefined && { nodeName: pod.spec.nodeName }), readOnly: reads };
}

/** Throws `VOLUMES_CLAIM_UNBOUND`. */
export function assertBound({ metadata: { namespace, name }, status }: PersistentVolumeClaim): void {
  const { phase = "Pending" } = status ?? {};
  if (phase === "Bound") return;
  const why = phase === "Lost" ? "its volume is gone" : "it has no volume yet";
  throw volumesError("VOLUMES_CLAIM_UNBOUND", `PersistentVolumeClaim ${namespace}/${name} is ${phase}: ${why}`, {
    hint: `see why with: kubectl describe pvc ${name} -n ${namespace}`,
  });
}

/** Rejects with `VOLUMES_CLAIM_UNBOUND` where there is none. */
export async function getClaim(
  cluster: Pick<Cluster, "get">,
  ref: { namespace: string; name: string },
  signal: AbortSignal,
): Promise<PersistentVolumeClaim> {
  try {
    return await cluster.get(CLAIMS, ref, { signal });
  } catch (cause) {
    if (!hasCode(cause, "KUBE_NOT_FOUND")) throw cause;
    throw volumesError("VOLUMES_CLAIM_UNBOUND", `PersistentVolumeClaim ${ref.namespace}/${ref.name} does not exist`, {
      hint: `see which there are with: kubectl get pvc -n ${ref.namespace}`,
      cause,
    });
  }
}
