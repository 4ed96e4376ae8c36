import { type Closable, createCloser, errorToJson, hasCode, type Logger } from "@shipside/core";
import {
  type Cluster,
  CONFIG_MAPS,
  type ConfigMap,
  type KubeObject,
  type LabelSelector,
  type ListOptions,
  type ResourceType,
  SECRETS,
  type Secret,
  selectorString,
  type Watch,
} from "@shipside/kube";
import type { Obstacle } from "./plan.ts";

export interface ApiObjects extends Closable {
  /** As it stands now, undefined where it doesn't exist; watched from then on. Rejects as `Cluster.get` does. */
  configMap(name: string): Promise<ConfigMap | undefined>;
  secret(name: string): Promise<Secret | undefined>;
  /** The one of that name, or those that the selector fits. Where none is served or allowed, why. */
  trustBundles(wish: TrustBundleWish): Promise<readonly ClusterTrustBundle[] | Obstacle>;
  /** What may have changed unnoticed, by watch. */
  readonly stale: readonly Obstacle[];
}

/** certificates.k8s.io (KEP-3257) */
export interface ClusterTrustBundle extends KubeObject {
  spec: { signerName?: string; trustBundle: string };
}

export type TrustBundleWish = { name: string } | { signerName: string; labelSelector: LabelSelector };

export interface ApiObjectsOptions {
  namespace: string;
  signal: AbortSignal;
  logger: Logger;
  /** Something that was asked for has changed. */
  onChange(): void;
  /** It can be read, but not watched. */
  onObstacle(obstacle: Obstacle): void;
}

const TRUST_BUNDLES: ResourceType<ClusterTrustBundle> = {
  ...{ group: "certificates.k8s.io", version: "v1", plural: "clustertrustbundles", kind: "ClusterTrustBundle" },
  ...{ namespaced: false, shortNames: [] },
};
/** As kubelets look for it. */
const TRUST_BUNDLE_VERSIONS = ["v1", "v1beta1", "v1alpha1"];

/** What is asked for, and said of it. */
interface Selected {
  type: ResourceType<KubeObject>;
  /** Undefined where several may fit. */
  name?: string;
  options: ListOptions;
  what: string;
}

/** What volumes are made of, one watch each, by name where there is one: a right to that one object is enough. */
export function openApiObjects(cluster: Cluster, options: ApiObjectsOptions): ApiObjects {
  const { namespace, signal, logger } = options;
  const closer = createCloser();
  const held = new Map<string, { watch: Watch<KubeObject>; synced: boolean; what: string }>();

  const follow = ({
    type,
    name,
    options: selection,
    what,
  }: Selected): { watch: Watch<KubeObject>; synced: boolean; what: string } => {
    const watch = closer.use(cluster.watch(type, { ...selection, signal }));
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
  const read = async (selected: Selected): Promise<readonly KubeObject[]> => {
    const { type, name, options: selection } = selected;
    const key = JSON.stringify([type.version, type.plural, selection]);
    const known = held.get(key);
    if (known?.synced) return [...known.watch.items.values()];
    // A request has a bound in time; a watch tries for ever.
    const asked =
      name === undefined
        ? cluster.list(type, { ...selection, signal })
        : cluster.get(type, { namespace, name }, { signal }).then((object) => [object]);
    const objects = await asked.catch((error: unknown): KubeObject[] => {
      if (hasCode(error, "KUBE_NOT_FOUND")) return [];
      throw error;
    });
    if (!held.has(key) && !closer.closing) held.set(key, follow(selected));
    return objects;
  };
  const named = (type: ResourceType<KubeObject>, name: string): Selected => ({
    ...{ type, name, what: `${type.kind} ${name}` },
    options: { ...(type.namespaced && { namespace }), fieldSelector: `metadata.name=${name}` },
  });
  const readNamed = async <T extends KubeObject>(type: ResourceType<T>, name: string): Promise<T | undefined> =>
    (await read(named(type, name)))[0] as T | undefined;

  let version: string | undefined;
  /** Of the newest version that there is. */
  const readBundles = async (wish: TrustBundleWish): Promise<ClusterTrustBundle[]> => {
    let unknown: unknown;
    for (const each of version === undefined ? TRUST_BUNDLE_VERSIONS : [version]) {
      const type = { ...TRUST_BUNDLES, version: each };
      try {
        const found =
          "name" in wish
            ? await read(named(type, wish.name))
            : await read({
                ...{ type, what: `ClusterTrustBundles of ${wish.signerName}` },
                options: { labelSelector: selectorString(wish.labelSelector) },
              });
        version = each;
        return found as ClusterTrustBundle[];
      } catch (error) {
        if (!hasCode(error, "KUBE_KIND_UNKNOWN")) throw error;
        unknown ??= error;
      }
    }
    throw unknown;
  };
  return {
    configMap: (name) => readNamed(CONFIG_MAPS, name),
    secret: (name) => readNamed(SECRETS, name),
    async trustBundles(wish) {
      try {
        const found = await readBundles(wish);
        return "name" in wish ? found : found.filter(({ spec }) => spec.signerName === wish.signerName);
      } catch (error) {
        if (!hasCode(error, "KUBE_KIND_UNKNOWN", "KUBE_FORBIDDEN")) throw error;
        const { code, message, hint } = errorToJson(error);
        return { code, message, ...(hint !== undefined && { hint }) };
      }
    },
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
