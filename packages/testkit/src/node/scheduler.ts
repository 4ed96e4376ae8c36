import { list } from "../api/kinds/strategy.ts";
import { labelSelectorRequirements, matchesLabels } from "../api/selectors.ts";
import { untolerated } from "../controllers/tolerations.ts";
import type { KubeJson, Store } from "../store.ts";
import { createRecorder, time } from "./events.ts";
import type { Claims } from "./volumes/claims.ts";

/**
 * Gives pods that have no node to one where they fit: selector, taints, and claims that can be bound (all of them on the first node). Of
 * several the one that has fewest of what a pod would rather not be beside (preferred anti-affinity by host), the first one of those.
 */
export function startScheduler(options: { store: Store; tracked: Store; nodeNames: readonly string[]; claims: Claims }): {
  close(): void;
} {
  const { store, tracked, nodeNames, claims } = options;
  const record = createRecorder(store, "default-scheduler");
  const waiting = new Set<string>();
  let scheduled = false;

  /** What keeps a pod from a node, as the real scheduler says it of each. */
  const nodeObstacle = (pod: KubeJson, nodeName: string): string | undefined => {
    const spec = pod["spec"];
    const node = store.get("nodes", undefined, nodeName);
    const labels = node?.metadata.labels ?? {};
    const selector: Record<string, string> = spec.nodeSelector ?? {};
    if (Object.entries(selector).some(([key, value]) => labels[key] !== value)) {
      return "node(s) didn't match Pod's node affinity/selector";
    }
    const cordon = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
    const cordoned = node?.["spec"]?.unschedulable && { ...node, spec: { taints: [cordon] } };
    if (cordoned && untolerated(pod, cordoned, ["NoSchedule"]).length > 0) return "node(s) were unschedulable";
    if (node && untolerated(pod, node, ["NoSchedule", "NoExecute"]).length > 0) return "node(s) had untolerated taint(s)";
    if (nodeName !== nodeNames[0] && claimsOf(pod).length > 0) return "node(s) had volume node affinity conflict";
    return undefined;
  };

  const claimObstacle = (pod: KubeJson): string | undefined => {
    for (const { name, template } of claimsOf(pod)) {
      if (template) ensureEphemeral(store, pod, name, template);
      if (!store.get("persistentvolumeclaims", pod.metadata.namespace, name)) return `persistentvolumeclaim "${name}" not found`;
      if (!claims.bind(pod.metadata.namespace!, name)) return "pod has unbound immediate PersistentVolumeClaims";
    }
    return undefined;
  };

  /** The node for a pod, or why there is none. */
  const choose = (pod: KubeJson): { nodeName: string } | { message: string } => {
    const none = (why: string): { message: string } => ({
      message: `0/${nodeNames.length} nodes are available: ${why}.`,
    });
    const obstacles = nodeNames.map((name) => nodeObstacle(pod, name));
    const fit = nodeNames.filter((_name, i) => obstacles[i] === undefined);
    if (fit.length === 0) {
      const counted = Object.entries(Object.groupBy(obstacles as string[], (why) => why));
      return none(counted.map(([why, all]) => `${all!.length} ${why}`).join(", "));
    }
    const unbound = claimObstacle(pod);
    if (unbound !== undefined) return none(unbound);
    const crowd = fit.map((name) => unwanted(pod, store.list("pods", pod.metadata.namespace), name));
    return { nodeName: fit[crowd.indexOf(Math.min(...crowd))]! };
  };

  const schedule = (key: string): void => {
    const [namespace, name] = key.split("/") as [string, string];
    const pod = store.get("pods", namespace, name);
    if (!pod || pod["spec"].nodeName || pod.metadata.deletionTimestamp || pod["spec"].schedulingGates?.length)
      return void waiting.delete(key);
    if ((pod["spec"].schedulerName ?? "default-scheduler") !== "default-scheduler") return void waiting.delete(key);
    const chosen = choose(pod);
    if ("nodeName" in chosen) {
      const { nodeName } = chosen;
      waiting.delete(key);
      store.mutate("pods", namespace, name, (copy) => {
        copy["spec"].nodeName = nodeName;
        copy["status"] = { phase: "Pending", ...copy["status"], conditions: [condition("True")] };
      });
      record(pod, "Normal", "Scheduled", `Successfully assigned ${key} to ${nodeName}`);
      return;
    }
    const { message } = chosen;
    const old = pod["status"]?.conditions?.find((c: { type: string }) => c.type === "PodScheduled");
    if (old?.message !== message) {
      tracked.mutate("pods", namespace, name, (copy) => {
        copy["status"] = { phase: "Pending", ...copy["status"], conditions: [condition("False", "Unschedulable", message)] };
      });
      record(pod, "Warning", "FailedScheduling", message);
    }
  };

  const run = (): void => {
    scheduled = false;
    for (const key of [...waiting]) schedule(key);
  };
  const soon = (): void => {
    if (!scheduled) setImmediate(run);
    scheduled = true;
  };
  const stop = store.subscribe(({ type, resource, object }) => {
    if (resource === "pods") {
      if (type === "DELETED" || object["spec"].nodeName) return;
      waiting.add(`${object.metadata.namespace}/${object.metadata.name}`);
      soon();
    } else if ((resource === "persistentvolumeclaims" || resource === "nodes") && waiting.size > 0) soon();
  });
  for (const pod of store.list("pods")) if (!pod["spec"].nodeName) waiting.add(`${pod.metadata.namespace}/${pod.metadata.name}`);
  if (waiting.size > 0) soon();
  return { close: stop };
}

const HOST = "kubernetes.io/hostname";

/** How many pods of a node one would rather not be beside. */
function unwanted(pod: KubeJson, others: readonly KubeJson[], nodeName: string): number {
  const terms = list(pod["spec"].affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution)
    .map(({ podAffinityTerm }) => podAffinityTerm)
    .filter(({ topologyKey }) => topologyKey === HOST)
    .flatMap(({ labelSelector }) => [labelSelectorRequirements(labelSelector) ?? []]);
  if (terms.length === 0) return 0;
  return others.filter(
    (other) => other["spec"].nodeName === nodeName && terms.some((term) => matchesLabels(term, other.metadata.labels)),
  ).length;
}

/** Claims of its volumes; with a template where it is made for the pod. */
const claimsOf = (pod: KubeJson): Array<{ name: string; template?: { metadata?: object; spec: unknown } }> =>
  list(pod["spec"].volumes).flatMap((volume) =>
    volume.persistentVolumeClaim
      ? [{ name: volume.persistentVolumeClaim.claimName as string }]
      : volume.ephemeral
        ? [{ name: `${pod.metadata.name}-${volume.name}`, template: volume.ephemeral.volumeClaimTemplate }]
        : [],
  );

const condition = (status: "True" | "False", reason?: string, message?: string): Record<string, unknown> => ({
  type: "PodScheduled",
  status,
  lastProbeTime: null,
  lastTransitionTime: time(),
  ...(reason && { reason, message }),
});

/** A generic ephemeral volume's claim, owned by its pod. */
function ensureEphemeral(store: Store, pod: KubeJson, name: string, template: { metadata?: object; spec: unknown }): void {
  const namespace = pod.metadata.namespace!;
  if (store.get("persistentvolumeclaims", namespace, name)) return;
  store.create("persistentvolumeclaims", {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      ...template.metadata,
      name,
      namespace,
      ownerReferences: [
        {
          apiVersion: "v1",
          kind: "Pod",
          name: pod.metadata.name,
          uid: pod.metadata.uid,
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: template.spec,
    status: { phase: "Pending" },
  });
}
