import type { KubeJson } from "../store.ts";
import type { NodeContext } from "./node-context.ts";
import { type PodWorker, startPod } from "./pod-worker.ts";
import { TRUST_BUNDLES } from "./volumes/trust-bundles.ts";

export interface Pods {
  /** Throws the kubelet's "pod not found", code `NotFound`. */
  find(namespace: string, pod: string): PodWorker;
  /** To every process of every pod. */
  signal(name: NodeJS.Signals): Promise<void>;
  /** Looks at all pods anew: some may have changed or gone unseen. */
  resync(): void;
  close(): Promise<void>;
}

/** What a pod may be waiting for, or shows in its volumes. */
const WAITED_FOR = new Set(["configmaps", "secrets", "persistentvolumeclaims", TRUST_BUNDLES]);

/** A worker for each pod that is bound to this node. What happens while it doesn't hear of it is seen with `resync`. */
export function startPods(context: NodeContext, hears: () => boolean = () => true): Pods {
  const { store, name } = context;
  const workers = new Map<string, PodWorker>();
  const dying = new Set<Promise<void>>();
  const key = ({ metadata }: KubeJson): string => `${metadata.namespace}/${metadata.name}`;

  const drop = (worker: PodWorker): void => {
    const gone = worker
      .kill()
      .catch((error: Error) => context.logger.error("a pod could not be removed", { error: error.message }));
    dying.add(gone);
    void gone.then(() => dying.delete(gone));
  };
  const see = (pod: KubeJson): void => {
    if (pod["spec"].nodeName !== name) return;
    const known = workers.get(key(pod));
    if (known && known.pod.metadata.uid === pod.metadata.uid) {
      known.update(pod);
      return;
    }
    if (known) drop(known);
    const { phase } = pod["status"] ?? {};
    if (phase === "Succeeded" || phase === "Failed") return;
    const worker = startPod(pod, context);
    workers.set(key(pod), worker);
    if (pod.metadata.deletionTimestamp) worker.update(pod);
  };
  const stop = store.subscribe(({ type, resource, object }) => {
    if (!hears()) return;
    if (resource === "pods") {
      if (type !== "DELETED") return setImmediate(() => !closed && hears() && latest(object));
      const worker = workers.get(key(object));
      if (worker?.pod.metadata.uid !== object.metadata.uid) return;
      workers.delete(key(object));
      drop(worker);
    } else if (WAITED_FOR.has(resource)) {
      for (const worker of workers.values()) {
        const { namespace } = object.metadata;
        if (namespace === undefined || worker.pod.metadata.namespace === namespace)
          worker.dependencyChanged(resource, object.metadata.name);
      }
    }
  });
  let closed = false;
  /** Events are looked at after the change that made them is through; by then there may be a newer version. */
  const latest = (pod: KubeJson): void => {
    const now = store.get("pods", pod.metadata.namespace, pod.metadata.name);
    if (now) see(now);
  };
  const resync = (): void => {
    for (const [each, worker] of workers) {
      const { metadata } = worker.pod;
      if (store.get("pods", metadata.namespace, metadata.name)?.metadata.uid === metadata.uid) continue;
      workers.delete(each);
      drop(worker);
    }
    for (const pod of store.list("pods")) see(pod);
    for (const worker of workers.values()) worker.publish();
  };
  for (const pod of store.list("pods")) see(pod);

  return {
    resync,
    async signal(name) {
      await Promise.all([...workers.values()].map((worker) => signalPod(worker, name)));
    },
    find(namespace, pod) {
      const worker = workers.get(`${namespace}/${pod}`);
      if (!worker) throw Object.assign(new Error(`pod "${pod}_${namespace}" not found`), { code: "NotFound" });
      return worker;
    },
    async close() {
      closed = true;
      stop();
      for (const worker of workers.values()) drop(worker);
      workers.clear();
      await Promise.all(dying);
    },
  };
}

/** To every process of a pod. */
export async function signalPod(worker: PodWorker, name: NodeJS.Signals): Promise<void> {
  const running = worker.records.map((record) => worker.container(record.name)?.running).filter((run) => run !== undefined);
  await Promise.all(running.map((run) => worker.sandbox?.agent.signal(run.id, name, true)));
}
