import { hasCode, type ShipsideError } from "@shipside/core";
import type { Cluster } from "./cluster.ts";
import { type KubeErrorCode, kubeError } from "./errors.ts";
import { nearMisses } from "./near.ts";
import {
  type KubeObject,
  type LabelSelector,
  NAMESPACES,
  PODS,
  type PodSpec,
  type PodTemplate,
  type ResourceType,
} from "./objects.ts";
import { kindOf, parseReference, WORKLOAD_TYPES, type WorkloadObject } from "./workload-kinds.ts";

export interface Workload {
  type: ResourceType<WorkloadObject>;
  /** Singular and lower case: "deployment". */
  kind: string;
  namespace: string;
  name: string;
  object: WorkloadObject;
  /** Of the pods that it makes; of itself where it is a pod. */
  podSpec: PodSpec;
  podLabels: Readonly<Record<string, string>>;
  /** Undefined for a pod and a cron job. */
  selector: LabelSelector | undefined;
}

export interface ResolveOptions {
  /** Default the cluster's own. */
  namespace?: string | undefined;
  signal?: AbortSignal | undefined;
}

/** How long a search for names that may have been meant may take, in ms. */
const SEARCH_MS = 3_000;

/**
 * The workload that `deployment/core`, `deploy core`, `["deploy", "core"]` or a bare `core` means.
 * Errors: `KUBE_KIND_UNKNOWN`, `KUBE_WORKLOAD_UNKNOWN` (the hint lists near misses in every kind and namespace that may be read),
 * `KUBE_WORKLOAD_AMBIGUOUS` (a bare name that several kinds have), `KUBE_NAMESPACE_UNKNOWN`, `KUBE_OPTION_INVALID`.
 */
export async function resolveWorkload(
  cluster: Cluster,
  reference: string | readonly [string, string],
  { namespace = cluster.info.namespace, signal }: ResolveOptions = {},
): Promise<Workload> {
  const { type, name } = parseReference(reference);
  const options = signal ? { signal } : {};
  const refusals = new Map<ResourceType<WorkloadObject>, Error>();
  const find = async (candidate: ResourceType<WorkloadObject>): Promise<Workload | undefined> => {
    try {
      return toWorkload(candidate, namespace, await cluster.get(candidate, { namespace, name }, options));
    } catch (error) {
      // Without a kind, those that may not be read (or aren't served) are passed over.
      if (hasCode(error, "KUBE_NOT_FOUND") || (type === undefined && hasCode(error, "KUBE_KIND_UNKNOWN"))) return undefined;
      if (type === undefined && hasCode(error, "KUBE_FORBIDDEN")) {
        refusals.set(candidate, error as Error);
        return undefined;
      }
      throw error;
    }
  };
  const found = (await Promise.all((type ? [type] : WORKLOAD_TYPES).map(find))).filter((workload) => workload !== undefined);
  if (found.length === 1) return found[0]!;
  if (found.length > 1) {
    const choices = found.map(({ kind }) => `${kind}/${name}`);
    throw kubeError("KUBE_WORKLOAD_AMBIGUOUS", `"${name}" in namespace ${namespace} may be ${choices.join(" or ")}`, {
      hint: `name the kind: ${choices[0]}`,
      details: { choices },
    });
  }
  const refused = WORKLOAD_TYPES.filter((candidate) => refusals.has(candidate));
  if (refused.length === WORKLOAD_TYPES.length) throw refusals.get(refused[0]!)!;
  const error = await unknown(cluster, type, namespace, name, signal);
  throw refused.length === 0 ? error : perhapsRefused(error, refused, [...refusals.values()]);
}

/** It may be of a kind that may not be read. */
function perhapsRefused(error: ShipsideError, refused: readonly ResourceType[], refusals: readonly Error[]): Error {
  const { hint, details } = error;
  const unread = `${refused.map(({ plural }) => plural).join(", ")} may not be read: it may be one of those`;
  return kubeError(error.code as KubeErrorCode, error.message, {
    hint: [hint, unread].filter(Boolean).join("\n"),
    cause: new AggregateError(refusals, "some kinds may not be read"),
    ...(details && { details }),
  });
}

function toWorkload(type: ResourceType<WorkloadObject>, namespace: string, object: WorkloadObject): Workload {
  const { spec } = object as {
    spec: { template?: PodTemplate; jobTemplate?: { spec: { template: PodTemplate } }; selector?: LabelSelector };
  };
  const template = spec.jobTemplate?.spec.template ?? spec.template;
  const ofPod = type.kind === PODS.kind;
  return {
    type,
    kind: kindOf(type),
    namespace: object.metadata.namespace ?? namespace,
    name: object.metadata.name,
    object,
    podSpec: ofPod ? (object.spec as PodSpec) : template!.spec,
    podLabels: (ofPod ? object.metadata.labels : template?.metadata?.labels) ?? {},
    selector: spec.jobTemplate || ofPod ? undefined : spec.selector,
  };
}

interface Candidate {
  kind: string;
  namespace: string;
  name: string;
}

async function unknown(
  cluster: Cluster,
  type: ResourceType<WorkloadObject> | undefined,
  namespace: string,
  name: string,
  outer: AbortSignal | undefined,
): Promise<ShipsideError> {
  const limit = AbortSignal.timeout(SEARCH_MS);
  const signal = outer ? AbortSignal.any([outer, limit]) : limit;
  // What can't be searched has nothing to suggest; the answer is the same error.
  const listed = async <T extends KubeObject>(kind: ResourceType<T>, within?: string): Promise<T[]> =>
    cluster.list(kind, { ...(within !== undefined && { namespace: within }), signal }).catch(() => []);

  const absent = await cluster.get(NAMESPACES, { name: namespace }, { signal }).then(
    () => false,
    (error: unknown) => hasCode(error, "KUBE_NOT_FOUND"),
  );
  if (absent) {
    const names = (await listed(NAMESPACES)).map(({ metadata }) => metadata.name);
    const near = nearMisses(namespace, names);
    outer?.throwIfAborted();
    return kubeError("KUBE_NAMESPACE_UNKNOWN", `namespace "${namespace}" does not exist in ${cluster.info.context}`, {
      hint: near.length > 0 ? `did you mean ${near.join(", ")}?` : `kubectl get namespaces lists them`,
      details: { namespace, near },
    });
  }

  const search = async (kind: ResourceType<WorkloadObject>): Promise<Candidate[]> => {
    // Pods and replica sets are many, and mostly made by something that is a better answer: only beside the asked for.
    const broad = kind.kind !== "Pod" && kind.kind !== "ReplicaSet";
    const everywhere = broad ? await listed(kind) : [];
    const objects = everywhere.length > 0 ? everywhere : await listed(kind, namespace);
    return objects
      .filter(({ metadata }) => kind === type || !metadata.ownerReferences?.some(({ controller }) => controller))
      .map(({ metadata }) => ({ kind: kindOf(kind), namespace: metadata.namespace ?? namespace, name: metadata.name }));
  };
  const candidates = (await Promise.all(WORKLOAD_TYPES.map(search))).flat();
  outer?.throwIfAborted();
  const near = nearMisses(
    name,
    candidates.map((candidate) => candidate.name),
  )
    .flatMap((like) => candidates.filter((candidate) => candidate.name === like))
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, 5);
  function rank(candidate: Candidate): number {
    return (
      (candidate.name === name ? 0 : 4) +
      (candidate.namespace === namespace ? 0 : 2) +
      (candidate.kind === (type && kindOf(type)) ? 0 : 1)
    );
  }
  const shown = near.map((c) => `${c.kind}/${c.name}${c.namespace === namespace ? "" : ` in namespace ${c.namespace}`}`);
  const wanted = type ? `${kindOf(type)} "${name}"` : `no workload "${name}"`;
  return kubeError(
    "KUBE_WORKLOAD_UNKNOWN",
    type ? `${wanted} does not exist in namespace ${namespace}` : `there is ${wanted} in namespace ${namespace}`,
    {
      hint:
        shown.length > 0
          ? `did you mean ${shown.join(", ")}?`
          : `nothing in context ${cluster.info.context} that this user may read has a name like it`,
      details: { ...(type && { kind: kindOf(type) }), name, namespace, near },
    },
  );
}
