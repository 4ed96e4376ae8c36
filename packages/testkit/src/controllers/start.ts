import { type Closable, type Logger, silentLogger } from "@shipside/core";
import { createRegistry, type Registry } from "../api/registry.ts";
import { notFound } from "../api/status.ts";
import { createRecorder, type RecordEvent } from "../node/events.ts";
import type { KubeJson, Store, StoreEvent } from "../store.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { Context, Controller } from "./context.ts";
import { cronJobController, triggerCronJob } from "./cron-job.ts";
import { daemonSetController } from "./daemon-set.ts";
import { deploymentController } from "./deployment.ts";
import { disruptionController } from "./disruption.ts";
import { endpointSliceController } from "./endpoint-slices.ts";
import { endpointsController } from "./endpoints.ts";
import { garbageCollector } from "./garbage-collector.ts";
import { jobController } from "./job.ts";
import { createLabelIndex } from "./label-index.ts";
import { namespaceController } from "./namespaces.ts";
import { createObjectIndex } from "./object-index.ts";
import { replicaSetController } from "./replica-set.ts";
import { resourceQuotaController } from "./resource-quota.ts";
import { createServiceIndex } from "./services-of.ts";
import { statefulSetController } from "./stateful-set.ts";
import { taintEvictionController } from "./taint-eviction.ts";
import { createWorkQueue, type WorkQueue } from "./work-queue.ts";

export interface ControllersOptions {
  store: Store;
  /** What they write through. Default: one of their own, for a cluster without a node. */
  registry?: Registry;
  logger?: Logger;
  clock?: Clock;
}

export interface Controllers extends Closable {
  /** Makes a Job of a CronJob now. Throws Status 404. */
  triggerCronJob(namespace: string, name: string): KubeJson;
}

const COMPONENT = "kube-controller-manager";

/** The cluster's own controllers: each works when something changed that concerns it, never by the clock alone. */
export function startControllers(options: ControllersOptions): Controllers {
  const { logger = silentLogger, clock = systemClock } = options;
  const registry =
    options.registry ??
    createRegistry({ store: options.store, ca: "", running: { node: false, controllers: true }, now: clock.now });
  const store = registry.storeOf(COMPONENT);
  const context = createContext(store, registry, logger, clock);
  const running = controllersOf(context).map((controller) => ({
    controller,
    queue: queueOf(controller, context),
  }));

  const observe = (event: StoreEvent): void => {
    context.observe(event);
    for (const { controller, queue } of running) controller.observe(event, queue.add);
  };
  const undo = store.subscribe(observe);
  // What was there before: each object as though it had just come.
  for (const { key } of registry.resources()) {
    for (const object of store.list(key)) {
      const event: StoreEvent = { type: "ADDED", resource: key, object, revision: store.revision };
      for (const { controller, queue } of running) controller.observe(event, queue.add);
    }
  }

  const close = async (): Promise<void> => {
    undo();
    for (const { queue } of running) queue.close();
  };
  return {
    triggerCronJob(namespace, name) {
      const cron = store.get("cronjobs.batch", namespace, name);
      if (!cron) throw notFound("cronjobs.batch", name);
      return triggerCronJob(context, cron);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

const controllersOf = (context: Context): Controller[] => [
  endpointSliceController(context),
  endpointsController(context),
  deploymentController(context),
  replicaSetController(context),
  statefulSetController(context),
  daemonSetController(context),
  jobController(context),
  cronJobController(context),
  namespaceController(context),
  garbageCollector(context),
  disruptionController(context),
  resourceQuotaController(context),
  taintEvictionController(context),
];

function queueOf(controller: Controller, { clock, logger }: Context): WorkQueue {
  const queue: WorkQueue = createWorkQueue(
    clock,
    (key) => controller.reconcile(key, (ms) => queue.addAfter(key, ms)),
    (key, error) => logger.debug(`${controller.name} controller: ${key}`, { error: String(error) }),
  );
  return queue;
}

function createContext(
  store: Store,
  registry: Registry,
  logger: Logger,
  clock: Clock,
): Context & { observe(event: StoreEvent): void } {
  const objects = createObjectIndex(
    store,
    registry.resources().map(({ key }) => key),
  );
  const pods = createLabelIndex(store, "pods");
  const services = createServiceIndex(store.list("services"));
  const recorders = new Map<string, RecordEvent>();
  const resourceOf = (key: string) => registry.resources().find((resource) => resource.key === key)!;
  return {
    store,
    registry,
    logger,
    clock,
    objects,
    pods,
    selecting: services.selecting,
    observe(event) {
      objects.observe(event);
      pods.observe(event);
      services.observe(event);
    },
    create: (resource, namespace, object) => registry.create(resourceOf(resource), namespace, object, { manager: COMPONENT }),
    remove(resource, namespace, name, deletion) {
      if (store.get(resource, namespace, name)) registry.delete(resourceOf(resource), namespace ?? "", name, deletion);
    },
    setStatus(resource, { metadata }: KubeJson, status) {
      store.mutate(resource, metadata.namespace, metadata.name, (copy) => {
        if (copy.metadata.uid === metadata.uid) copy["status"] = status;
      });
    },
    recorder(component) {
      const known = recorders.get(component) ?? createRecorder(registry.store, component);
      recorders.set(component, known);
      return known;
    },
  };
}
