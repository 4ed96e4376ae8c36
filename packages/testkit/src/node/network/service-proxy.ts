import type { KubeJson, Store } from "../../store.ts";
import { clusterIP } from "../env/service-links.ts";
import type { AddressPool } from "./addresses.ts";
import { serviceRoutes, sliceBelongsTo, slicesByService } from "./endpoints.ts";
import { createServiceListeners, type ServiceListeners } from "./service-listeners.ts";

export interface ServiceProxy {
  /** The address at which the service answers, where it has a ClusterIP. */
  address(service: KubeJson): string | undefined;
  close(): Promise<void>;
}

/**
 * Keeps listeners in step with Services and EndpointSlices. With `addresses`, each service gets one of those instead of its ClusterIP;
 * `listeners` may be somewhere else (in a namespace).
 */
export function createServiceProxy(options: {
  store: Store;
  addresses?: AddressPool;
  listeners?: Pick<ServiceListeners, "set" | "close">;
  /** Services whose connections are handed over instead of passed to endpoints. */
  handOver?(service: KubeJson): boolean;
}): ServiceProxy {
  const { store, addresses } = options;
  const listeners = options.listeners ?? createServiceListeners();
  const given = new Map<string, string>();
  const dirty = new Set<string>();
  let scheduled = false;
  let closed = false;

  const address = (service: KubeJson): string | undefined => {
    const ip = clusterIP(service);
    if (ip === undefined || !addresses) return ip;
    const held = given.get(service.metadata.uid) ?? addresses.take();
    given.set(service.metadata.uid, held);
    return held;
  };

  const flush = (): void => {
    scheduled = false;
    if (closed) return;
    const known = new Map<string, Map<string, KubeJson[]>>();
    const slices = (namespace: string): Map<string, KubeJson[]> => {
      const found = known.get(namespace) ?? slicesByService(store.list("endpointslices.discovery.k8s.io", namespace));
      known.set(namespace, found);
      return found;
    };
    for (const key of dirty) {
      const [namespace, name] = key.split("/") as [string, string];
      const service = store.get("services", namespace, name);
      const at = service && address(service);
      if (!at) continue;
      const routes = serviceRoutes(service, slices(namespace).get(name) ?? []);
      const handOver = options.handOver?.(service) === true;
      void listeners.set(at, handOver ? routes.map((route) => ({ ...route, handOver })) : routes).catch(() => {});
    }
    dirty.clear();
  };
  const touch = (namespace: string | undefined, name: string | undefined): void => {
    if (!namespace || !name) return;
    dirty.add(`${namespace}/${name}`);
    if (!scheduled) setImmediate(flush);
    scheduled = true;
  };
  const stop = store.subscribe(({ type, resource, object }) => {
    if (resource === "endpointslices.discovery.k8s.io") touch(object.metadata.namespace, sliceBelongsTo(object));
    else if (resource === "services") {
      if (type === "DELETED") {
        const at = address(object);
        if (at) void listeners.set(at, []).catch(() => {});
        if (at && given.delete(object.metadata.uid)) addresses?.give(at);
      } else touch(object.metadata.namespace, object.metadata.name);
    }
  });
  for (const { metadata } of store.list("services")) touch(metadata.namespace, metadata.name);

  return {
    address,
    async close() {
      closed = true;
      stop();
      await listeners.close();
    },
  };
}
