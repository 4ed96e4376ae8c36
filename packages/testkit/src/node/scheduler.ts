import { untolerated } from "../controllers/tolerations.ts";
import type { KubeJson, Store } from "../store.ts";
import { createRecorder, time } from "./events.ts";
import type { Claims } from "./volumes/claims.ts";

/** Gives pods that have no node to this one, where they fit: selector, node affinity's simple form, and claims that can be bound. */
export function startScheduler(options: { store: Store; tracked: Store; nodeName: string; claims: Claims }): { close(): void } {
  const { store, tracked, nodeName, claims } = options;
  const record = createRecorder(store, "default-scheduler");
  const waiting = new Set<string>();
  let scheduled = false;

  const obstacle = (pod: KubeJson): string | undefined => {
    const spec = pod["spec"];
    const node = store.get("nodes", undefined, nodeName);
    const labels = node?.metadata.labels ?? {};
    const selector: Record<string, string> = spec.nodeSelector ?? {};
    if (Object.entries(selector).some(([key, value]) => labels[key] !== value)) {
      return "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";
    }
    const cordon = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
    const cordoned = node?.["spec"]?.unschedulable && { ...node, spec: { taints: [cordon] } };
    if (cordoned && untolerated(pod, cordoned, ["NoSchedule"]).length > 0) {
      return "0/1 nodes are available: 1 node(s) were unschedulable.";
    }
    if (node && untolerated(pod, node, ["NoSchedule", "NoExecute"]).length > 0) {
      return "0/1 nodes are available: 1 node(s) had untolerated taint(s).";
    }
    for (const volume of spec.volumes ?? []) {
      const name: string | undefined =
        volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined);
      if (!name) continue;
      if (volume.ephemeral) ensureEphemeral(store, pod, name, volume.ephemeral.volumeClaimTemplate);
      if (!store.get("persistentvolumeclaims", pod.metadata.namespace, name)) {
        return `0/1 nodes are available: persistentvolumeclaim "${name}" not found.`;
      }
      if (!claims.bind(pod.metadata.namespace!, name)) {
        return "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.";
      }
    }
    return undefined;
  };

  const schedule = (key: string): void => {
    const [namespace, name] = key.split("/") as [string, string];
    const pod = store.get("pods", namespace, name);
    if (!pod || pod["spec"].nodeName || pod.metadata.deletionTimestamp || pod["spec"].schedulingGates?.length)
      return void waiting.delete(key);
    if ((pod["spec"].schedulerName ?? "default-scheduler") !== "default-scheduler") return void waiting.delete(key);
    const message = obstacle(pod);
    if (message === undefined) {
      waiting.delete(key);
      store.mutate("pods", namespace, name, (copy) => {
        copy["spec"].nodeName = nodeName;
        copy["status"] = { phase: "Pending", ...copy["status"], conditions: [condition("True")] };
      });
      record(pod, "Normal", "Scheduled", `Successfully assigned ${key} to ${nodeName}`);
      return;
    }
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
