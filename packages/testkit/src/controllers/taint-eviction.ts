import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { staysFor } from "./tolerations.ts";

/** Deletes pods from nodes whose `NoExecute` taints they don't tolerate, or no longer. */
export function taintEvictionController(context: Context): Controller {
  const { store, clock } = context;
  const record = context.recorder("taint-eviction-controller");
  /** Since when a pod has been on a node with taints. */
  const since = new Map<string, number>();
  return {
    name: "taint-eviction",
    observe({ resource, type, object, previous }, add) {
      if (resource === "pods") {
        if (type === "DELETED") since.delete(object.metadata.uid);
        else if (object["spec"].nodeName && object["spec"] !== previous?.["spec"]) add(keyOf(object));
      } else if (resource === "nodes" && object["spec"]?.taints !== previous?.["spec"]?.taints) {
        for (const pod of store.list("pods")) if (pod["spec"].nodeName === object.metadata.name) add(keyOf(pod));
      }
    },
    reconcile(key, again) {
      const { namespace, name } = splitKey(key);
      const pod = store.get("pods", namespace, name);
      const node = pod && store.get("nodes", undefined, pod["spec"].nodeName ?? "");
      if (!pod || !node || pod.metadata.deletionTimestamp) return;
      const { uid } = pod.metadata;
      const ms = staysFor(pod, node);
      if (ms === undefined) return void since.delete(uid);
      if (!since.has(uid)) since.set(uid, clock.now());
      const left = since.get(uid)! + ms - clock.now();
      if (left > 0) return again(left);
      record(pod, "Normal", "TaintManagerEviction", `Marking for deletion Pod ${key}`);
      context.remove("pods", namespace, name);
    },
  };
}
