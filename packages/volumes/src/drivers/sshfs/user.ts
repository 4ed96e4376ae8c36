import type { Logger } from "@shipside/core";
import { type Cluster, NAMESPACES, type Pod } from "@shipside/kube";
import type { RelayUser } from "@shipside/relay";
import { volumesError } from "../../errors.ts";

/** Parts of a pod that say whom its containers run as (core/v1). */
interface SecurityContext {
  runAsUser?: number;
  runAsGroup?: number;
  seLinuxOptions?: Record<string, string>;
  fsGroup?: number;
  supplementalGroups?: number[];
  capabilities?: { add?: string[]; drop?: string[] };
}

interface Identity {
  uid: number;
  gid: number;
  supplementalGroups?: number[];
}

/** By which root works on files of others; a runtime gives them to every container that doesn't drop them. */
const FILE_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"];

/**
 * Whom a container's processes are, for another pod to be the same. `asked` is what the image says, where the pod doesn't. The fsGroup
 * becomes one of the supplementary groups: it opens the same files, and nothing is changed for it. Pure.
 */
export function userOf(pod: Pod, container: string | undefined, asked?: Partial<Identity>): Partial<RelayUser> {
  const name = container ?? pod.spec.containers[0]?.name;
  const spec = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].find((each) => each.name === name);
  const own = ((spec as { securityContext?: SecurityContext } | undefined)?.securityContext ?? {}) as SecurityContext;
  const ofPod = ((pod.spec as { securityContext?: SecurityContext }).securityContext ?? {}) as SecurityContext;
  const statuses = (pod.status?.containerStatuses ?? []) as Array<{ name: string; user?: { linux?: Identity } }>;
  // KEP-3619: a cluster that has it tells whom the container really is.
  const real = statuses.find((each) => each.name === name)?.user?.linux;
  const uid = real?.uid ?? own.runAsUser ?? ofPod.runAsUser ?? asked?.uid;
  const gid = real?.gid ?? own.runAsGroup ?? ofPod.runAsGroup ?? asked?.gid;
  const groups = new Set([
    ...(real?.supplementalGroups ?? []),
    ...(ofPod.supplementalGroups ?? []),
    ...(ofPod.fsGroup === undefined ? [] : [ofPod.fsGroup]),
  ]);
  const seLinuxOptions = own.seLinuxOptions ?? ofPod.seLinuxOptions;
  const { add = [], drop = [] } = own.capabilities ?? {};
  const dropped = (capability: string): boolean => drop.includes(capability) || drop.includes("ALL");
  return {
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(groups.size > 0 && { supplementalGroups: [...groups] }),
    ...(seLinuxOptions && { seLinuxOptions }),
    capabilities: FILE_CAPABILITIES.filter((each) => add.includes(each) || add.includes("ALL") || !dropped(each)),
  };
}

/** {@link userOf}, with the container asked where the pod doesn't say. Rejects with `VOLUMES_ROOT_FORBIDDEN`. */
export async function findUser(
  cluster: Pick<Cluster, "exec" | "get">,
  { pod, container, signal, logger }: { pod: Pod; container: string | undefined; signal: AbortSignal; logger: Logger },
): Promise<RelayUser> {
  const { namespace = "", name } = pod.metadata;
  let found = userOf(pod, container);
  if (found.uid === undefined || found.gid === undefined) {
    const options = { signal, ...(container !== undefined && { container }) };
    const answer = await cluster.exec({ namespace, name }, ["sh", "-c", "id -u; id -g"], options).catch(() => undefined);
    const [uid, gid] = (answer?.stdout.toString().trim().split("\n") ?? []).map(Number);
    if (Number.isInteger(uid) && Number.isInteger(gid)) found = userOf(pod, container, { uid: uid!, gid: gid! });
    else logger.warn("whom a container runs as isn't known, and is taken to be root", { pod: name, container });
  }
  const { uid = 0, gid = 0 } = found;
  if (uid === 0) await refuseWhereRestricted(cluster, namespace, name, signal);
  return { ...found, uid, gid };
}

/** Said before anything starts. Who may not look has it said by the API server. */
async function refuseWhereRestricted(
  cluster: Pick<Cluster, "get">,
  namespace: string,
  pod: string,
  signal: AbortSignal,
): Promise<void> {
  const found = await cluster.get(NAMESPACES, { name: namespace }, { signal }).catch(() => undefined);
  if (found?.metadata.labels?.["pod-security.kubernetes.io/enforce"] !== "restricted") return;
  throw volumesError("VOLUMES_ROOT_FORBIDDEN", `pod ${namespace}/${pod} runs as root, which the namespace forbids new pods`, {
    hint: "set runAsUser in the workload, or use the snapshot driver",
  });
}
