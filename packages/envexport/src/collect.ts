import { type EnvEntry, type EnvSource, hasCode, type Logger, type PodRef, silentLogger } from "@shipside/core";
import {
  type Cluster,
  CONFIG_MAPS,
  type ConfigMap,
  type Container,
  type KubeObject,
  livePod,
  PODS,
  type Pod,
  type PodTemplate,
  type ResourceType,
  resolveWorkload,
  SECRETS,
  SERVICES,
  type Secret,
  type Service,
  type Workload,
} from "@shipside/kube";
import { containerEnv, type EnvWarning } from "./container-env.ts";
import { needsPod, type PodFacts } from "./downward.ts";
import { envError } from "./errors.ts";
import { type AddressOf, serviceEnv } from "./service-links.ts";

export interface CollectOptions {
  /** `deployment/core`, `deploy core`, a bare name, or what `resolveWorkload` gave. */
  workload: string | Workload;
  /** Default the cluster's own. */
  namespace?: string;
  /** Default: the one that `kubectl.kubernetes.io/default-container` names, else the first. May be an init container. */
  container?: string;
  /** The pod that downward values are taken from. Default: a running one of the workload, looked for only where it is needed. */
  pod?: string;
  /** Where services are reached by whoever uses the env (the tunnels' addresses). Default: their cluster IPs. */
  addressOf?: AddressOf;
  /** Leave out what may not be read, with a warning, rather than fail with `KUBE_FORBIDDEN`. Default false. */
  skipForbidden?: boolean;
  /** Variable names as Kubernetes since 1.32 takes them. Default true; see {@link EnvWarning} for what false leaves out. */
  relaxedNames?: boolean;
  /** Asked as well, side by side; their entries win over the workload's own, later ones over earlier ones. */
  sources?: readonly EnvSource[];
  signal?: AbortSignal;
  logger?: Logger;
}

export interface EnvCollection {
  /** `deployment/core` */
  workload: string;
  namespace: string;
  container: string;
  /** The pod that downward values come from, where any do. */
  pod?: PodRef;
  /** One a name. */
  entries: EnvEntry[];
  warnings: EnvWarning[];
  /** What the entries depend on. */
  references: EnvReferences;
}

export interface EnvReferences {
  configMaps: readonly string[];
  secrets: readonly string[];
}

interface Node extends KubeObject {
  status?: { allocatable?: Record<string, string> };
}

const NODES: ResourceType<Node> = {
  group: "",
  version: "v1",
  plural: "nodes",
  kind: "Node",
  namespaced: false,
  shortNames: ["no"],
};

/**
 * The environment that a workload's container has in the cluster, from its spec, so that no pod need run. Reads each object once, all
 * side by side: the workload; then what it refers to; then, only where a limit is asked for that isn't set, the pod's node.
 *
 * Rejects with `ENV_CONTAINER_UNKNOWN`, `ENV_REFERENCE_MISSING`, `ENV_FIELD_UNKNOWN`, and what the cluster says (`KUBE_…`).
 */
export async function collectEnv(cluster: Cluster, options: CollectOptions): Promise<EnvCollection> {
  const { skipForbidden = false, relaxedNames = true, addressOf, logger = silentLogger } = options;
  const signal = options.signal ?? new AbortController().signal;
  checkOptions(options);
  const workload =
    typeof options.workload === "string"
      ? await resolveWorkload(cluster, options.workload, { namespace: options.namespace, signal })
      : options.workload;
  const { namespace } = workload;
  const label = `${workload.kind}/${workload.name}`;
  const metadata = templateMetadata(workload);
  const container = pickContainer(workload, metadata.annotations ?? {}, options.container);
  const references = referencesOf(container);
  const warnings: EnvWarning[] = [];

  /** Undefined where it doesn't exist. */
  const read = async <T extends KubeObject>(type: ResourceType<T>, name: string): Promise<T | "forbidden" | undefined> => {
    try {
      return await cluster.get(type, { namespace, name }, { signal });
    } catch (error) {
      if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
      if (skipForbidden && hasCode(error, "KUBE_FORBIDDEN")) return "forbidden";
      throw error;
    }
  };
  const readAll = async <T extends KubeObject>(type: ResourceType<T>, names: readonly string[]) =>
    new Map(await Promise.all(names.map(async (name) => [name, await read(type, name)] as const)));

  const facts: PodFacts = {
    namespace,
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    spec: workload.podSpec,
    ...(workload.kind === "pod" && { pod: workload.object as Pod }),
  };
  const links = workload.podSpec.enableServiceLinks !== false;
  const [configMaps, secrets, own, master, pod, ...extra] = await Promise.all([
    readAll<ConfigMap>(CONFIG_MAPS, references.configMaps),
    readAll<Secret>(SECRETS, references.secrets),
    links ? readServices(() => cluster.list(SERVICES, { namespace, signal })) : [],
    namespace === "default" && links
      ? []
      : readServices(async () => [await cluster.get(SERVICES, { namespace: "default", name: "kubernetes" }, { signal })], true),
    findPod(),
    ...(options.sources ?? []).map((source) =>
      source.collect({ namespace, workload: label, container: container.name, signal }, { logger }),
    ),
  ]);

  async function readServices(get: () => Promise<Service[]>, another = false): Promise<Service[]> {
    try {
      return await get();
    } catch (error) {
      // Another namespace's service is what a user of one namespace can't be expected to read.
      if (hasCode(error, "KUBE_NOT_FOUND")) return [];
      if (!hasCode(error, "KUBE_FORBIDDEN") || !(skipForbidden || another)) throw error;
      const what = another ? "KUBERNETES_SERVICE_… are" : "the variables of the namespace's services are";
      warnings.push({
        reason: "FORBIDDEN",
        message: `${what} left out: services of namespace ${another ? "default" : namespace} may not be read`,
      });
      return [];
    }
  }

  async function findPod(): Promise<Pod | undefined> {
    if (facts.pod) return facts.pod;
    if (options.pod !== undefined) return cluster.get(PODS, { namespace, name: options.pod }, { signal });
    if (!needsPod(container, facts)) return undefined;
    try {
      return await livePod(cluster, workload, { signal });
    } catch (error) {
      if (hasCode(error, "KUBE_NO_LIVE_POD") || (skipForbidden && hasCode(error, "KUBE_FORBIDDEN"))) {
        logger.debug("no running pod to take values from", { workload: label, cause: error });
        return undefined;
      }
      throw error;
    }
  }

  if (pod) facts.pod = pod;
  const nodeName = pod?.spec.nodeName;
  if (nodeName !== undefined && needsPod(container, facts)) {
    const node = await cluster.get(NODES, { name: nodeName }, { signal }).catch((error) => {
      // Nodes are the cluster's: few may read them. What needs them is left out with a warning.
      if (hasCode(error, "KUBE_FORBIDDEN", "KUBE_NOT_FOUND")) return undefined;
      throw error;
    });
    if (node) facts.allocatable = node.status?.allocatable ?? {};
  }

  const made = containerEnv(container, {
    facts,
    services: serviceEnv([...master, ...own], namespace, links, addressOf),
    configMap: (name) => configMaps.get(name),
    secret: (name) => secrets.get(name),
    relaxedNames,
  });
  const entries = mergeEntries(made.entries, ...extra);
  const fromPod = pod && entries.some(({ origin }) => (origin.from === "field" && origin.pod) || origin.from === "resource");
  return {
    workload: label,
    namespace,
    container: container.name,
    ...(fromPod && { pod: { namespace, name: pod.metadata.name } }),
    entries,
    warnings: [...warnings, ...made.warnings],
    references,
  };
}

function checkOptions({ workload, addressOf, sources }: CollectOptions): void {
  const bad = (what: string, hint: string): Error => envError("ENV_OPTION_INVALID", `collectEnv: ${what}`, { hint });
  const resolved = typeof workload === "object" && workload !== null && typeof workload.podSpec === "object";
  if (typeof workload !== "string" && !resolved)
    throw bad("`workload` names no workload", "give kind/name, for example deployment/core");
  if (addressOf !== undefined && typeof addressOf !== "function")
    throw bad("`addressOf` is not a function", "give ({ namespace, name }) => address");
  if (sources !== undefined && !(Array.isArray(sources) && sources.every((source) => typeof source?.collect === "function"))) {
    throw bad("`sources` is not an array of sources", "see the EnvSource type of @shipside/core");
  }
}

/** One entry a name: the last one's, in the place of the first. */
export function mergeEntries(...lists: ReadonlyArray<readonly EnvEntry[]>): EnvEntry[] {
  return [...new Map(lists.flat().map((entry) => [entry.name, entry])).values()];
}

function templateMetadata({ object, kind }: Workload): { labels?: Record<string, string>; annotations?: Record<string, string> } {
  if (kind === "pod") return object.metadata;
  const spec = object.spec as { template?: PodTemplate; jobTemplate?: { spec: { template: PodTemplate } } };
  return (spec.jobTemplate?.spec.template ?? spec.template)?.metadata ?? {};
}

function pickContainer(
  { podSpec, kind, name }: Workload,
  annotations: Record<string, string>,
  wanted: string | undefined,
): Container {
  const all = [...podSpec.containers, ...(podSpec.initContainers ?? [])];
  const preferred = wanted ?? annotations["kubectl.kubernetes.io/default-container"];
  const found = all.find((container) => container.name === preferred) ?? (wanted === undefined ? all[0] : undefined);
  if (found) return found;
  throw envError("ENV_CONTAINER_UNKNOWN", `${kind}/${name} has no container ${JSON.stringify(wanted)}`, {
    hint: `it has ${all.map((container) => container.name).join(", ")}`,
    details: { containers: all.map((container) => container.name) },
  });
}

/** The objects that a container's env is made of, each once. */
export function referencesOf({ env = [], envFrom = [] }: Container): EnvReferences {
  const names = (list: Array<string | undefined>): string[] => [...new Set(list.filter((name) => name !== undefined))].sort();
  const sources = env.flatMap(({ value, valueFrom }) => (value || !valueFrom ? [] : [valueFrom]));
  return {
    configMaps: names([...envFrom.map((from) => from.configMapRef?.name), ...sources.map((from) => from.configMapKeyRef?.name)]),
    secrets: names([...envFrom.map((from) => from.secretRef?.name), ...sources.map((from) => from.secretKeyRef?.name)]),
  };
}
