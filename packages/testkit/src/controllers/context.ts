import type { Logger } from "@shipside/core";
import type { DeleteOptions, Registry } from "../api/registry.ts";
import type { Json } from "../json.ts";
import type { RecordEvent } from "../node/events.ts";
import type { KubeJson, Store, StoreEvent } from "../store.ts";
import type { Clock } from "./clock.ts";
import type { LabelIndex } from "./label-index.ts";
import type { ObjectIndex } from "./object-index.ts";

/** What a controller works with. */
export interface Context {
  store: Store;
  registry: Registry;
  clock: Clock;
  logger: Logger;
  objects: ObjectIndex;
  pods: LabelIndex;
  /** The services whose selector matches a pod. */
  selecting(pod: KubeJson): KubeJson[];
  /** Through the registry, with its defaults and admission, as the cluster itself. Throws a Status. */
  create(resource: string, namespace: string, object: Json): KubeJson;
  /** As the API would; nothing where it's gone already. */
  remove(resource: string, namespace: string | undefined, name: string, options?: DeleteOptions): void;
  setStatus(resource: string, object: KubeJson, status: Json): void;
  /** The recorder of the controller of that name. */
  recorder(component: string): RecordEvent;
}

/** Brings what is into line with what is asked for, one object at a time, whenever something changed that concerns it. */
export interface Controller {
  readonly name: string;
  /** Adds the keys that a change concerns. */
  observe(event: StoreEvent, add: (key: string) => void): void;
  /** Synchronous and idempotent. What it throws is tried again. `again` asks for another look `ms` from now. */
  reconcile(key: string, again: (ms: number) => void): void;
}

export const keyOf = ({ metadata }: { metadata: { namespace?: string; name: string } }): string =>
  metadata.namespace ? `${metadata.namespace}/${metadata.name}` : metadata.name;

/** The inverse of {@link keyOf}; a cluster-scoped key has no namespace. */
export function splitKey(key: string): { namespace: string | undefined; name: string } {
  const slash = key.indexOf("/");
  return slash < 0 ? { namespace: undefined, name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
