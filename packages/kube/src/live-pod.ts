import { hasCode } from "@shipside/core";
import type { Cluster } from "./cluster.ts";
import { kubeError } from "./errors.ts";
import { selectorString } from "./label-selector.ts";
import { JOBS, type KubeObject, PODS, type Pod, REPLICA_SETS } from "./objects.ts";
import type { Workload } from "./workload.ts";

/** By its condition of that name. */
export const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;

/** Runs, and is not being deleted. */
export const isLive = ({ metadata, status }: Pod): boolean =>
  status?.phase === "Running" && metadata.deletionTimestamp === undefined;

/** Nothing of it will run again. */
export function hasEnded({ metadata, status }: Pod): boolean {
  if (status?.phase === "Succeeded" || status?.phase === "Failed") return true;
  const containers = status?.containerStatuses ?? [];
  return metadata.deletionTimestamp !== undefined && containers.length > 0 && containers.every(({ state }) => state?.terminated);
}

/** Of a StatefulSet's pod: which replica it is. Its controller's label names it, `<set>-<ordinal>`. */
export function ordinalOf({ metadata }: Pod): number | undefined {
  const name = metadata.labels?.["statefulset.kubernetes.io/pod-name"];
  return name === undefined ? undefined : Number(name.slice(name.lastIndexOf("-") + 1));
}

/**
 * The better pod first: of a StatefulSet the lowest ordinal, since its replicas have claims of their own and which is meant mustn't change with the hour; then
 * ready ones, then the newest (during a rollout that is the new version), then by name.
 */
export function byPreference(a: Pod, b: Pod): number {
  return (
    (ordinalOf(a) ?? 0) - (ordinalOf(b) ?? 0) ||
    Number(isReady(b)) - Number(isReady(a)) ||
    (Date.parse(b.metadata.creationTimestamp ?? "") || 0) - (Date.parse(a.metadata.creationTimestamp ?? "") || 0) ||
    (a.metadata.name < b.metadata.name ? -1 : 1)
  );
}

/**
 * The running pod that is meant, the best by {@link byPreference}. Of a StatefulSet, once one was meant (`replica`, its name), it is that one alone: while it
 * restarts there is none. Pure.
 */
export function meantPod(pods: Iterable<Pod>, replica?: string): Pod | undefined {
  const isAnother = (pod: Pod): boolean => replica !== undefined && ordinalOf(pod) !== undefined && pod.metadata.name !== replica;
  return [...pods].filter((pod) => isLive(pod) && !isAnother(pod)).sort(byPreference)[0];
}

/** The pods of a workload, whatever their state: those that it owns, by selector and owner reference. */
export async function podsOf(cluster: Cluster, workload: Workload, { signal }: { signal?: AbortSignal } = {}): Promise<Pod[]> {
  const { namespace, name, selector, object, kind } = workload;
  const options = { namespace, ...(signal && { signal }) };
  const uid = object.metadata.uid;
  switch (kind) {
    case "pod":
      return [await cluster.get(PODS, { namespace, name }, options)];
    case "cronjob": {
      const jobs = (await cluster.list(JOBS, options)).filter((job) => ownedBy(job, uid));
      if (jobs.length === 0) return [];
      const labelSelector = `job-name in (${jobs.map(({ metadata }) => metadata.name).join(",")})`;
      return cluster.list(PODS, { ...options, labelSelector });
    }
    case "deployment": {
      const labelSelector = selectorString(selector ?? {});
      const [sets, pods] = await Promise.all([
        // Who may not read replica sets gets what the selector gives, as with kubectl.
        cluster.list(REPLICA_SETS, { ...options, labelSelector }).catch((error: unknown) => {
          if (hasCode(error, "KUBE_FORBIDDEN")) return undefined;
          throw error;
        }),
        cluster.list(PODS, { ...options, labelSelector }),
      ]);
      if (!sets) return pods;
      const owners = sets.filter((set) => ownedBy(set, uid)).map(({ metadata }) => metadata.uid);
      return pods.filter((pod) => owners.some((owner) => ownedBy(pod, owner)));
    }
    default:
      return (await cluster.list(PODS, { ...options, labelSelector: selectorString(selector ?? {}) })).filter((pod) =>
        ownedBy(pod, uid),
      );
  }
}

/** One running pod of a workload: {@link meantPod}. Error: `KUBE_NO_LIVE_POD`, with the phases of what there is in `details`. */
export async function livePod(
  cluster: Cluster,
  workload: Workload,
  { replica, ...options }: { replica?: string; signal?: AbortSignal } = {},
): Promise<Pod> {
  const pods = await podsOf(cluster, workload, options);
  const live = meantPod(pods, replica);
  if (live) return live;
  const states = pods.map(
    ({ metadata, status }) => `${metadata.name} (${metadata.deletionTimestamp ? "terminating" : (status?.phase ?? "unknown")})`,
  );
  const { kind, name, namespace } = workload;
  const none = pods.some(isLive) ? `has no running pod ${replica}` : "has no running pod";
  throw kubeError("KUBE_NO_LIVE_POD", `${kind}/${name} in namespace ${namespace} ${none}`, {
    hint: states.length > 0 ? `there is ${states.slice(0, 5).join(", ")}` : "is it scaled to 0, or has it not run yet?",
    details: { pods: states },
  });
}

const ownedBy = ({ metadata }: KubeObject, uid: string | undefined): boolean =>
  metadata.ownerReferences?.some((owner) => owner.controller === true && owner.uid === uid) === true;
