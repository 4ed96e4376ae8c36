import { bootstrap } from "../api/bootstrap.ts";
import { createRegistry, type Registry } from "../api/registry.ts";
import { createStore } from "../memory-store.ts";
import type { KubeJson, Store } from "../store.ts";
import { type ControllersOptions, startControllers } from "./start.ts";

/** A cluster without processes, for tests of controllers: a store, its registry, and a node whose pods do what they're told. */
export interface FakeCluster extends AsyncDisposable {
  store: Store;
  registry: Registry;
  /** How pods turn out: by default they run and are ready at once. */
  pods: {
    phase: (pod: KubeJson) => "Pending" | "Running" | "Succeeded" | "Failed";
    ready: (pod: KubeJson) => boolean;
    linger: boolean;
  };
  apply(resource: string, object: object, namespace?: string): KubeJson;
  /** Waits until `check` is true. Nothing polls: it's asked after each change. */
  until(check: () => boolean): Promise<void>;
  /** Looks at all pods again. */
  refresh(): void;
  triggerCronJob(namespace: string, name: string): KubeJson;
}

export async function fakeCluster(options: Partial<ControllersOptions> = {}): Promise<FakeCluster> {
  const store = createStore();
  const registry = createRegistry({ store, ca: "", running: { node: true, controllers: true } });
  bootstrap(registry);
  // Not of interest here, and in the way of counting.
  store.remove("services", "default", "kubernetes");
  let next = 0;
  const cluster: FakeCluster = {
    store,
    registry,
    pods: { phase: () => "Running", ready: () => true, linger: false },
    apply(resource, object, namespace = "default") {
      const found = registry.resources().find(({ key }) => key === resource)!;
      return registry.create(found, found.namespaced ? namespace : "", object);
    },
    until: (check) =>
      new Promise((resolve) => {
        let over = false;
        const look = (): void => {
          if (over || !check()) return;
          over = true;
          stop();
          resolve();
        };
        const stop = store.subscribe(() => setImmediate(look));
        look();
      }),
    refresh() {
      for (const pod of store.list("pods")) run(pod);
    },
    triggerCronJob: (namespace, name) => controllers.triggerCronJob(namespace, name),
    async [Symbol.asyncDispose]() {
      stop();
      await controllers.close();
    },
  };
  const run = ({ metadata }: KubeJson): void => {
    if (metadata.deletionTimestamp) {
      if (cluster.pods.linger) return;
      store.mutate("pods", metadata.namespace, metadata.name, (copy) => {
        delete copy.metadata.deletionGracePeriodSeconds;
      });
      return;
    }
    store.mutate("pods", metadata.namespace, metadata.name, (pod) => {
      // Scheduled as it begins: to the only node, where nobody has chosen one.
      pod["spec"].nodeName ??= "node-1";
      const phase = cluster.pods.phase(pod);
      const ready = phase === "Running" && cluster.pods.ready(pod) ? "True" : "False";
      const podIP = pod["status"].podIP ?? `10.244.${next >> 8}.${next++ & 255}`;
      const before = pod["status"].conditions?.find((entry: { type: string }) => entry.type === "Ready");
      const since = before?.status === ready ? before.lastTransitionTime : new Date().toISOString();
      pod["status"] = { ...pod["status"], phase, podIP, podIPs: [{ ip: podIP }] };
      pod["status"].conditions = [{ type: "Ready", status: ready, lastTransitionTime: since }];
    });
  };
  const stop = store.subscribe(({ resource, type, object }) => {
    if (resource === "pods" && type !== "DELETED")
      setImmediate(() => store.get("pods", object.metadata.namespace, object.metadata.name) && run(object));
  });
  const controllers = startControllers({ store, registry, ...options });
  cluster.apply("nodes", { metadata: { name: "node-1", labels: { "kubernetes.io/hostname": "node-1" } } });
  return cluster;
}
