import { time } from "../node/events.ts";
import type { KubeJson, Store } from "../store.ts";
import type { Registry, RegistryOptions } from "./registry.ts";
import type { Resource } from "./resources.ts";
import { conflict, StatusError } from "./status.ts";

interface Parts {
  store: Store;
  running: RegistryOptions["running"];
  now(): number;
  resources(): readonly Resource[];
  get: Registry["get"];
}

/** Deletion: at once, or by a mark where finalizers, a grace period or what a namespace holds come first. */
export function createDeletion({ store, running, now, resources, get }: Parts): Registry["delete"] {
  return (resource, namespace, name, options = {}) => {
    const old = get(resource, namespace, name);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if (uid && uid !== old.metadata.uid) {
      throw conflict(
        resource.key,
        name,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
      );
    }
    if (resourceVersion && resourceVersion !== old.metadata.resourceVersion) {
      throw conflict(
        resource.key,
        name,
        `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${old.metadata.resourceVersion}`,
      );
    }
    if (resource.key === "namespaces" && ["default", "kube-system", "kube-public"].includes(name)) {
      throw new StatusError(403, "Forbidden", `namespaces "${name}" is forbidden: this namespace may not be deleted`, {
        name,
        kind: "namespaces",
      });
    }
    if (options.gracePeriodSeconds !== undefined && options.gracePeriodSeconds < 0) options = { ...options, gracePeriodSeconds: 1 };
    const seconds = resource.key === "pods" ? podGrace(old, options.gracePeriodSeconds, running.node) : 0;
    const finalizers = new Set(old.metadata.finalizers ?? []);
    if (running.controllers && options.propagationPolicy === "Foreground") finalizers.add("foregroundDeletion");
    if (running.controllers && options.propagationPolicy === "Orphan") finalizers.add("orphan");
    const namespaceContent = resource.key === "namespaces" && old["spec"]?.finalizers?.length > 0;
    if (options.dryRun) return { object: old, gone: seconds === 0 && finalizers.size === 0 && !namespaceContent };

    if (namespaceContent && !running.controllers) {
      const object = store.remove("namespaces", undefined, name)!;
      for (const { key, namespaced } of resources()) {
        if (namespaced) for (const item of store.list(key, name)) store.remove(key, name, item.metadata.name);
      }
      return { object, gone: true };
    }
    if (seconds === 0 && finalizers.size === 0 && !namespaceContent) {
      return { object: store.remove(resource.key, old.metadata.namespace, name)!, gone: true };
    }
    const already = old.metadata.deletionTimestamp !== undefined;
    if (
      already &&
      seconds >= (old.metadata.deletionGracePeriodSeconds ?? 0) &&
      finalizers.size === (old.metadata.finalizers?.length ?? 0)
    ) {
      return { object: old, gone: false };
    }
    const object = store.mutate(resource.key, old.metadata.namespace, name, (copy) => {
      if (finalizers.size > 0) copy.metadata.finalizers = [...finalizers];
      if (!already || seconds < (copy.metadata.deletionGracePeriodSeconds ?? 0)) {
        copy.metadata.deletionTimestamp = time(now() + seconds * 1000);
        copy.metadata.deletionGracePeriodSeconds = seconds;
      }
      if (resource.key === "namespaces") copy["status"] = { ...copy["status"], phase: "Terminating" };
    });
    return { object: object ?? old, gone: false };
  };
}

/** Without a node nobody ends a pod's processes, and an unscheduled or finished pod has none: it goes at once. */
function podGrace(pod: KubeJson, asked: number | undefined, node: boolean): number {
  if (!node || !pod["spec"].nodeName || ["Succeeded", "Failed"].includes(pod["status"]?.phase)) return 0;
  return asked ?? pod["spec"].terminationGracePeriodSeconds ?? 30;
}
