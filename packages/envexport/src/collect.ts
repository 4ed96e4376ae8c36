import { type EnvEntry, hasCode, type PodRef, silentLogger } from "@shipside/core";
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
import { type CollectOptions, checkCollectOptions } from "./collect-options.ts";
import { containerEnv, type EnvInputs, type EnvWarning } from "./container-env.ts";
import { needsPod, type PodFacts } from "./downward.ts";
import { envError } from "./errors.ts";
import { fileValues, hasFileKeys } from "./file-values.ts";
import { mergeEntries } from "./merge.ts";
import { readRunning } from "./running.ts";
import { selectEntries } from "./select.ts";
import { type AddressOf, serviceEnv } from "./service-links.ts";
import { type EnvDifference, withRunning } from "./with-running.ts";

export interface EnvCollection {
  /** `deployment/core` */
  workload: string;
  namespace: string;
  container: string;
  /** The pod that values come from, where any do. */
  pod?: PodRef;
  /** With `from: "running"`: where the container has something else than the spec says now, by name. */
  differences?: EnvDifference[];
  /** One a name. */
  entries: EnvEntry[];
  warnings: EnvWarning[];
  /** What was refused and gone on without, each once (`KUBE_FORBIDDEN`, with the missing rule). */
  refusals: Error[];
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
 * side by side: the workload; then what it refers to; then, only where they are needed, the pod's node (a limit that isn't set) and the
 * running container (a file's key, `from: "running"`).
 *
 * Rejects with `ENV_CONTAINER_UNKNOWN`, `ENV_REFERENCE_MISSING`, `ENV_FIELD_UNKNOWN`, with `from: "running"` also
 * `ENV_RUNNING_UNREADABLE` and `KUBE_NO_LIVE_POD`, and what else the cluster says (`KUBE_…`).
 */
export async function collectEnv(cluster: Cluster, options: CollectOptions): Promise<EnvCollection> {
  const fromRunning = options.from === "running";
  const { skipForbidden = false, relaxedNames = true, addressOf, logger = silentLogger } = options;
  const signal = options.signal ?? new AbortController().signal;
  checkCollectOptions(options);
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
  const refusals = new Map<string, Error>();
  /** True for a right that is missing, which is remembered. */
  const isRefused = (error: unknown): boolean => {
    if (!hasCode(error, "KUBE_FORBIDDEN")) return false;
    const refusal = error as Error;
    refusals.set(refusal.message, refusal);
    return true;
  };

  /** Undefined where it doesn't exist. */
  const read = async <T extends KubeObject>(type: ResourceType<T>, name: string): Promise<T | "forbidden" | undefined> => {
    try {
      return await cluster.get(type, { namespace, name }, { signal });
    } catch (error) {
      if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
      // Of what isn't wanted nothing is missed.
      const mayMiss = skipForbidden || (type.kind === SECRETS.kind && options.select?.secrets === false);
      if (mayMiss && isRefused(error)) return "forbidden";
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
      if (!(skipForbidden || another) || !isRefused(error)) throw error;
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
    if (!fromRunning && !needsPod(container, facts) && !hasFileKeys(container)) return undefined;
    try {
      return await livePod(cluster, workload, { signal, ...(options.replica !== undefined && { replica: options.replica }) });
    } catch (error) {
      if (fromRunning) throw error;
      if (hasCode(error, "KUBE_NO_LIVE_POD") || (skipForbidden && isRefused(error))) {
        logger.debug("no running pod to take values from", { workload: label, cause: error });
        return undefined;
      }
      throw error;
    }
  }

  if (pod) facts.pod = pod;
  const nodeName = pod?.spec.nodeName;
  const [node, running] = await Promise.all([
    nodeName !== undefined && needsPod(container, facts) ? readNode(nodeName) : undefined,
    pod && fromRunning ? readRunning(cluster, pod, container.name, signal) : undefined,
  ]);
  if (node) facts.allocatable = node.status?.allocatable ?? {};
  const files = pod && hasFileKeys(container) ? await readFiles(pod) : undefined;

  async function readNode(name: string): Promise<Node | undefined> {
    try {
      return await cluster.get(NODES, { name }, { signal });
    } catch (error) {
      // Nodes are the cluster's: few may read them. What needs them is left out with a warning.
      if (hasCode(error, "KUBE_NOT_FOUND") || isRefused(error)) return undefined;
      throw error;
    }
  }

  async function readFiles(from: Pod): Promise<EnvInputs["file"]> {
    try {
      return await fileValues(cluster, from, container, { running, signal });
    } catch (error) {
      if (skipForbidden && isRefused(error)) return () => ({ why: "commands may not be run in its pod" });
      throw error;
    }
  }

  const containerWith = (addresses: AddressOf | undefined) =>
    containerEnv(container, {
      facts,
      services: serviceEnv([...master, ...own], namespace, links, addresses),
      configMap: (name) => configMaps.get(name),
      secret: (name) => secrets.get(name),
      ...(files && { file: files }),
      relaxedNames,
    });
  const local = containerWith(addressOf);
  const made: ReturnType<typeof containerEnv> & { differences?: EnvDifference[] } =
    pod && running
      ? withRunning({
          spec: addressOf ? containerWith(undefined).entries : local.entries,
          local: local.entries,
          running: running.values,
          pod: pod.metadata.name,
          warnings: local.warnings,
        })
      : local;
  for (const name of running?.notText ?? []) {
    warnings.push({
      reason: "NOT_TEXT",
      name,
      message: `${name} is left out: its value in the running container is not UTF-8 text`,
    });
  }
  const select = options.select ?? {};
  const entries = selectEntries(mergeEntries(made.entries, ...extra), select);
  const shown = new Map(entries.map((entry) => [entry.name, entry]));
  const isWanted = ({ name, spec, running: now }: EnvDifference): boolean => {
    // What another source or a setting has put in its place is no difference any more.
    if (now) return shown.get(name) === now;
    return spec !== undefined && !shown.has(name) && selectEntries([spec], { ...select, set: {} }).length === 1;
  };
  const fromPod = pod && (running || entries.some(isOfPod));
  return {
    workload: label,
    namespace,
    container: container.name,
    ...(fromPod && { pod: { namespace, name: pod.metadata.name } }),
    entries,
    ...(made.differences && { differences: made.differences.filter(isWanted) }),
    warnings: [...warnings, ...made.warnings],
    refusals: [...refusals.values()],
    references,
  };
}

const isOfPod = ({ origin }: EnvEntry): boolean =>
  (origin.from === "field" && origin.pod !== undefined) || origin.from === "resource" || origin.from === "file";

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
