import { type Closable, createCloser, type ServiceFacts } from "@shipside/core";
import {
  type Cluster,
  ENDPOINT_SLICES,
  type EndpointSlice,
  type KubeObject,
  type ResourceType,
  SERVICES,
  type Service,
  type Watch,
} from "@shipside/kube";
import type { Staleness } from "./events.ts";
import { OUTSIDE } from "./outside.ts";

/** KEP-752: the label by which a slice says whose it is. */
const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

/** More namespaces than this are watched as one: two connections to the API server instead of two for each. */
const MANY_NAMESPACES = 4;

/** A service and what serves it, as last heard of. */
export interface ServiceView {
  service: Service;
  slices: readonly EndpointSlice[];
}

export interface ServiceSource extends Closable {
  /** Resolves when all is known; rejects as the first watch that can't be (`KUBE_FORBIDDEN` and so on). */
  readonly synced: Promise<void>;
  keys(): string[];
  /** By `namespace/name`. */
  view(key: string): ServiceView | undefined;
  stale(): Staleness[];
}

export interface ServiceSourceOptions {
  cluster: Cluster;
  /** `["*"]` for all. */
  namespaces: readonly string[];
  /** A service, or the slices of one, have changed, come or gone. */
  onChange(key: string): void;
  onStale(staleness: Staleness): void;
  onLive(recovered: Omit<Staleness, "error">): void;
}

/** Services and their EndpointSlices, by two watches a namespace, or two for the cluster. */
export function watchServices(options: ServiceSourceOptions): ServiceSource {
  const { cluster, namespaces, onChange } = options;
  const closer = createCloser();
  const services = new Map<string, Service>();
  const slices = new Map<string, Map<string, EndpointSlice>>();
  const stale = new Map<unknown, Staleness>();
  const all = namespaces.includes("*");
  const wanted = new Set(namespaces);

  const open = <T extends KubeObject>(
    type: ResourceType<T>,
    namespace: string | undefined,
    onObject: (object: T, gone: boolean, previous?: T) => void,
  ): Watch<T> => {
    const watch = closer.use(cluster.watch(type, namespace === undefined ? {} : { namespace }));
    const where = { resource: type.plural as Staleness["resource"], ...(namespace !== undefined && { namespace }) };
    watch.events.on("change", ({ type: kind, object, previous }) => onObject(object, kind === "deleted", previous));
    watch.events.on("state", (state) => {
      if (closer.closing) return;
      if (state.status === "stale") {
        const staleness = { ...where, error: state.error };
        stale.set(watch, staleness);
        options.onStale(staleness);
      } else if (state.status === "live" && stale.delete(watch)) {
        options.onLive(where);
      }
    });
    return watch;
  };

  const onService = (service: Service, gone: boolean): void => {
    const key = keyOf(service);
    if (!all && !wanted.has(service.metadata.namespace ?? "")) return;
    if (gone) services.delete(key);
    else services.set(key, service);
    onChange(key);
  };

  const onSlice = (slice: EndpointSlice, gone: boolean, previous?: EndpointSlice): void => {
    const owner = ownerOf(slice);
    const before = previous && ownerOf(previous);
    if (before !== undefined && before !== owner && slices.get(before)?.delete(slice.metadata.name)) onChange(before);
    if (owner === undefined) return;
    const own = slices.get(owner) ?? new Map<string, EndpointSlice>();
    if (gone) own.delete(slice.metadata.name);
    else own.set(slice.metadata.name, slice);
    if (own.size > 0) slices.set(owner, own);
    else slices.delete(owner);
    if (services.has(owner)) onChange(owner);
  };

  const watchOne = async (namespace: string | undefined): Promise<void> => {
    const ours = [open(SERVICES, namespace, onService), open(ENDPOINT_SLICES, namespace, onSlice)] as const;
    const results = await Promise.allSettled(ours.map((watch) => watch.synced));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) {
      await Promise.all(ours.map((watch) => watch.close()));
      throw failed.reason;
    }
    // A watch tells of changes; what the first list held is taken from it, whether it told of that or not.
    for (const service of ours[0].items.values()) onService(service, false);
    for (const slice of ours[1].items.values()) onSlice(slice, false);
  };
  const watchEach = async (): Promise<void> => void (await Promise.all(namespaces.map(watchOne)));

  const synced = (async () => {
    if (all) return watchOne(undefined);
    if (namespaces.length <= MANY_NAMESPACES) return watchEach();
    // The right to all namespaces is not everybody's: who lacks it gets two connections for each.
    return watchOne(undefined).catch((error: { code?: string }) => {
      if (error.code !== "KUBE_FORBIDDEN") throw error;
      return watchEach();
    });
  })();
  synced.catch(() => {});

  return {
    synced,
    keys: () => [...services.keys()],
    view(key) {
      const service = services.get(key);
      return service && { service, slices: [...(slices.get(key)?.values() ?? [])] };
    },
    stale: () => [...stale.values()],
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

/** What a selector is shown. */
export function factsOf({ metadata, spec }: Service): ServiceFacts {
  return {
    namespace: metadata.namespace ?? "default",
    name: metadata.name,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    type: spec.type ?? "ClusterIP",
    headless: spec.clusterIP === "None",
    // A host outside is one for itself: it has no other name.
    ...(metadata.namespace !== OUTSIDE && spec.type === "ExternalName" && spec.externalName && { externalName: spec.externalName }),
    ports: (spec.ports ?? []).map(({ name, port, protocol = "TCP" }) => ({ ...(name && { name }), port, protocol })),
  };
}

const keyOf = ({ metadata }: KubeObject): string => `${metadata.namespace ?? "default"}/${metadata.name}`;

function ownerOf({ metadata }: EndpointSlice): string | undefined {
  const name = metadata.labels?.[SERVICE_NAME_LABEL];
  return name && `${metadata.namespace ?? "default"}/${name}`;
}
