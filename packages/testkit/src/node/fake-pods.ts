import type { KubeJson } from "../store.ts";
import { time } from "./events.ts";
import { createAddressPool } from "./network/addresses.ts";
import { currentPod, type NodeContext } from "./node-context.ts";
import type { Pods } from "./pods.ts";
import { type ContainerRecord, podStatus } from "./status.ts";

/** Pods that are Running and Ready as soon as they are seen, and gone as soon as they are deleted; no process runs. */
export function startFakePods(context: NodeContext): Pods {
  const { store, name } = context;
  const pool = createAddressPool("10.244.0.2");
  const queue = new Set<string>();
  let scheduled = false;

  const run = (pod: KubeJson): void => {
    const now = time();
    const record =
      (kind: ContainerRecord["kind"]) =>
      (c: { name: string; image?: string }): ContainerRecord => ({
        name: c.name,
        kind,
        image: c.image ?? "",
        imageID: "",
        state:
          kind === "init"
            ? { terminated: { exitCode: 0, reason: "Completed", startedAt: now, finishedAt: now } }
            : { running: { startedAt: now } },
        restartCount: 0,
        started: kind !== "init",
        ready: true,
      });
    const containers = [...(pod["spec"].initContainers ?? []).map(record("init")), ...pod["spec"].containers.map(record("main"))];
    const podIP = pool.take();
    store.mutate("pods", pod.metadata.namespace, pod.metadata.name, (copy) => {
      const state = { startTime: now, hostIP: context.network.hostIP, podIP, containers, sandboxed: true };
      copy["status"] = { ...copy["status"], ...podStatus(copy, state, now) };
    });
  };
  const see = (key: string): void => {
    const [namespace, podName] = key.split("/") as [string, string];
    const pod = store.get("pods", namespace, podName);
    if (!pod || pod["spec"].nodeName !== name) return;
    if (!pod.metadata.deletionTimestamp) {
      if (!pod["status"]?.podIP) run(pod);
      return;
    }
    if (pod.metadata.finalizers?.length) {
      store.mutate("pods", namespace, podName, (copy) => {
        copy.metadata.deletionGracePeriodSeconds = 0;
      });
    } else if (currentPod(context, pod)) store.remove("pods", namespace, podName);
  };
  const flush = (): void => {
    scheduled = false;
    const keys = [...queue];
    queue.clear();
    for (const key of keys) see(key);
  };
  const enqueue = (pod: KubeJson): void => {
    if (pod["spec"].nodeName !== name) return;
    queue.add(`${pod.metadata.namespace}/${pod.metadata.name}`);
    if (!scheduled) setImmediate(flush);
    scheduled = true;
  };
  const stop = store.subscribe(({ type, resource, object }) => {
    if (resource !== "pods") return;
    if (type !== "DELETED") enqueue(object);
    else if (object["status"]?.podIP) pool.give(object["status"].podIP);
  });
  const resync = (): void => store.list("pods").forEach(enqueue);
  resync();

  return {
    resync,
    async signal() {},
    find(namespace, pod) {
      const known = store.get("pods", namespace, pod);
      if (!known) throw Object.assign(new Error(`pod "${pod}_${namespace}" not found`), { code: "NotFound" });
      throw Object.assign(new Error(`pod ${namespace}/${pod} has no process: this node's network is "fake"`), {
        code: "NotRunning",
      });
    },
    async close() {
      stop();
    },
  };
}
