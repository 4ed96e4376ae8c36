import type { Store } from "../store.ts";
import { createRecorder } from "./events.ts";
import { startFakePods } from "./fake-pods.ts";
import type { NodeContext } from "./node-context.ts";
import { registerNode } from "./node-object.ts";
import { type Pods, startPods } from "./pods.ts";

/** One Node object, and the kubelet of the pods that are bound to it. */
export interface Member {
  readonly name: string;
  readonly pods: Pods;
  /**
   * The node falls silent: SIGSTOP to all processes of its pods, and its kubelet neither hears nor writes. With what it resolves to, it is
   * there again.
   */
  lose(): Promise<() => Promise<void>>;
}

/** Several of them share a network, a directory and this machine. */
export function startMember(shared: Omit<NodeContext, "name" | "record">, name: string): Member {
  let lost = 0;
  const store = whileHeard(shared.store, () => lost === 0);
  const context: NodeContext = { ...shared, store, name, record: createRecorder(store, "kubelet", name) };
  registerNode(store, name, shared.network.hostIP);
  const pods = shared.network.mode === "fake" ? startFakePods(context) : startPods(context, () => lost === 0);
  return {
    name,
    pods,
    async lose() {
      lost++;
      await pods.signal("SIGSTOP");
      let undone: Promise<void> | undefined;
      return () =>
        (undone ??= (async () => {
          lost--;
          if (lost > 0) return;
          await pods.signal("SIGCONT");
          pods.resync();
        })());
    },
  };
}

/** Reads always; what is written while nobody hears it is lost. */
function whileHeard(store: Store, heard: () => boolean): Store {
  return Object.assign(Object.create(store) as Store, {
    mutate: (...change: Parameters<Store["mutate"]>) => (heard() ? store.mutate(...change) : undefined),
    remove: (...what: Parameters<Store["remove"]>) => (heard() ? store.remove(...what) : undefined),
    create(...what: Parameters<Store["create"]>) {
      if (heard()) return store.create(...what);
      throw new Error("the node has no way to the API server");
    },
  });
}
