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
  /** Of SELinux: `s0:c12,c345`. */
  level?: string;
}

/** By which root works on files of others; a runtime gives them to every container that doesn't drop them. */
const FILE_CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"];

/**
 * Whom a container's processes are, for another pod to be the same. `asked` is what the container says, where the pod doesn't. The fsGroup
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
  const seLinuxOptions = {
    ...(asked?.level !== undefined && { level: asked.level }),
    ...(own.seLinuxOptions ?? ofPod.seLinuxOptions),
  };
  const { add = [], drop = [] } = own.capabilities ?? {};
  const dropped = (capability: string): boolean => drop.includes(capability) || drop.includes("ALL");
  return {
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(groups.size > 0 && { supplementalGroups: [...groups] }),
    ...(Object.keys(seLinuxOptions).length > 0 && { seLinuxOptions }),
    capabilities: FILE_CAPABILITIES.filter((each) => add.includes(each) || add.includes("ALL") || !dropped(each)),
  };
}

const WHO = "id -u; id -g; cat /proc/self/attr/current 2>/dev/null";

/** Of what {@link WHO} prints. The last line may be another security module's. Without a label of its own a volume gets that of each pod that mounts it. */
function identityIn(said: string): Partial<Identity> {
  const [uid, gid, label = ""] = said.split("\n").map((line) => line.replace(/\0/g, "").trim());
  const level = /^[\w.-]+:[\w.-]+:[\w.-]+:(s\d+\S*)$/.exec(label)?.[1];
  const number = (text: string | undefined): number | undefined => (/^\d+$/.test(text ?? "") ? Number(text) : undefined);
  const [user, group] = [number(uid), number(gid)];
  return {
    ...(user !== undefined && { uid: user }),
    ...(group !== undefined && { gid: group }),
    ...(level !== undefined && { level }),
  };
}

/** {@link userOf}, with the container asked where the pod doesn't say. Rejects with `VOLUMES_ROOT_FORBIDDEN`. */
export async function findUser(
  cluster: Pick<Cluster, "exec" | "get">,
  { pod, container, signal, logger }: { pod: Pod; container: string | undefined; signal: AbortSignal; logger: Logger },
): Promise<RelayUser> {
  const { namespace = "", name } = pod.metadata;
  let found = userOf(pod, container);
  if (found.uid === undefined || found.gid === undefined || found.seLinuxOptions?.["level"] === undefined) {
    const options = { signal, ...(container !== undefined && { container }) };
    const answer = await cluster.exec({ namespace, name }, ["sh", "-c", WHO], options).catch(() => undefined);
    found = userOf(pod, container, identityIn(answer?.stdout.toString() ?? ""));
    if (found.uid === undefined || found.gid === undefined)
      logger.warn("whom a container runs as isn't known, and is taken to be root", { pod: name, container });
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
