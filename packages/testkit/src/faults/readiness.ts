import type { KubeJson, Store } from "../store.ts";

/**
 * Overrides a pod's readiness: the node's own word on it is noted and written over, and comes back with the undo. Other parts of the
 * status stay as they are.
 */
export function overrideReadiness(
  store: Store,
  namespace: string,
  name: string,
  ready: () => boolean,
): { apply(): void; undo(): void } {
  let own = statusOf(store.get("pods", namespace, name));
  // What we wrote comes back as an event: within the call, or, where another event is still being delivered, after it.
  let writing = false;
  let written: KubeJson | undefined;
  const apply = (): void => {
    const pod = store.get("pods", namespace, name);
    const before = statusOf(pod);
    if (before === undefined || before === (ready() ? "True" : "False")) return;
    writing = true;
    try {
      written = store.mutate("pods", namespace, name, (copy) => setReady(copy, ready()));
    } finally {
      writing = false;
    }
  };
  const stop = store.subscribe(({ resource, type, object }) => {
    const { metadata } = object;
    if (resource !== "pods" || metadata.name !== name || metadata.namespace !== namespace) return;
    if (type === "DELETED" || writing || object === written) return;
    own = statusOf(object);
    apply();
  });
  apply();
  return {
    apply,
    undo() {
      stop();
      const now = statusOf(store.get("pods", namespace, name));
      if (own !== undefined && now !== undefined && now !== own) {
        store.mutate("pods", namespace, name, (copy) => setReady(copy, own === "True"));
      }
    },
  };
}

const statusOf = (pod: KubeJson | undefined): string | undefined =>
  pod?.["status"]?.conditions?.find((entry: { type: string }) => entry.type === "Ready")?.status;

function setReady(pod: KubeJson, ready: boolean): void {
  const now = `${new Date().toISOString().slice(0, 19)}Z`;
  for (const condition of pod["status"].conditions) {
    if (condition.type !== "Ready" && condition.type !== "ContainersReady") continue;
    condition.status = ready ? "True" : "False";
    condition.lastTransitionTime = now;
    if (ready) {
      delete condition.reason;
      delete condition.message;
    } else {
      const names = (pod["spec"].containers as Array<{ name: string }>).map((container) => container.name);
      condition.reason = "ContainersNotReady";
      condition.message = `containers with unready status: [${names.join(" ")}]`;
    }
  }
  for (const container of pod["status"].containerStatuses ?? []) container.ready = ready;
}
