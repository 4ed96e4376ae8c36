import { type Closable, createCloser, hasCode, type Logger } from "@shipside/core";
import {
  type Cluster,
  CONFIG_MAPS,
  type ConfigMap,
  type KubeObject,
  type ResourceType,
  SECRETS,
  type Secret,
  type Watch,
} from "@shipside/kube";
import type { Obstacle } from "./plan.ts";

export interface ApiObjects extends Closable {
  /** As it stands now, undefined where it doesn't exist; watched from then on. Rejects as `Cluster.get` does. */
  configMap(name: string): Promise<ConfigMap | undefined>;
  secret(name: string): Promise<Secret | undefined>;
  /** What may have changed unnoticed, by watch. */
  readonly stale: readonly Obstacle[];
}

export interface ApiObjectsOptions {
  namespace: string;
  signal: AbortSignal;
  logger: Logger;
  /** Something that was asked for has changed. */
  onChange(): void;
  /** It can be read, but not watched. */
  onObstacle(obstacle: Obstacle): void;
}

/** The ConfigMaps and Secrets that volumes are made of, one watch each, by name: a right to that one object is enough. */
export function openApiObjects(cluster: Cluster, options: ApiObjectsOptions): ApiObjects {
  const { namespace, signal, logger } = options;
  const closer = createCloser();
  const held = new Map<string, { watch: Watch<KubeObject>; synced: boolean; what: string }>();

  const follow = (type: ResourceType<KubeObject>, name: string): { watch: Watch<KubeObject>; synced: boolean; what: string } => {
    const what = `${type.kind} ${name}`;
    const watch = closer.use(cluster.watch(type, { namespace, fieldSelector: `metadata.name=${name}`, signal }));
    const entry = { watch, synced: false, what };
    watch.events.on("change", () => options.onChange());
    watch.synced.then(
      () => {
        entry.synced = true;
      },
      (error: Error) => {
        if (signal.aborted || closer.closing) return;
        logger.warn("changes will not be noticed", { kind: type.kind, namespace, name, error: error.message });
        options.onObstacle(notFollowed(what, error));
      },
    );
    return entry;
  };
  const read = async <T extends KubeObject>(type: ResourceType<T>, name: string): Promise<T | undefined> => {
    const key = `${type.plural}/${name}`;
    const known = held.get(key);
    if (known?.synced) return known.watch.items.get(`${namespace}/${name}`) as T | undefined;
    // A request has a bound in time; a watch tries for ever.
    const object = await cluster.get(type, { namespace, name }, { signal }).catch((error: unknown) => {
      if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
      throw error;
    });
    if (!held.has(key) && !closer.closing) held.set(key, follow(type, name));
    return object;
  };
  return {
    configMap: (name) => read(CONFIG_MAPS, name),
    secret: (name) => read(SECRETS, name),
    get stale() {
      return [...held.values()].flatMap(({ watch: { state }, what }) =>
        state.status === "stale" ? [notFollowed(what, state.error)] : [],
      );
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

const notFollowed = (what: string, error: Error): Obstacle => ({
  code: "VOLUMES_NOT_FOLLOWED",
  message: `changes of the ${what} aren't noticed: ${error.message.split("\n")[0]}`,
  ...(hasCode(error, "KUBE_FORBIDDEN") && { hint: "allow list and watch of it besides get" }),
});
