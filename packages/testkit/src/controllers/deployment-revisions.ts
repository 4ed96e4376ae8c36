import { type Json, sameJson } from "../json.ts";
import type { KubeJson } from "../store.ts";
import type { Context } from "./context.ts";
import { controllerReference } from "./owners.ts";
import { templateHash } from "./template-hash.ts";

const REPLICA_SETS = "replicasets.apps";
const HASH_LABEL = "pod-template-hash";
export const REVISION = "deployment.kubernetes.io/revision";
const HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED = "deployment.kubernetes.io/desired-replicas";
const MAXIMUM = "deployment.kubernetes.io/max-replicas";

/** Annotations of a Deployment that its ReplicaSets don't get. */
const NOT_COPIED = new Set([
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  HISTORY,
  DESIRED,
  MAXIMUM,
  "deprecated.deployment.rollback.to",
]);

export const revisionOf = (object: KubeJson): number => Number(object.metadata.annotations?.[REVISION] ?? 0);

/** The ReplicaSet of the Deployment's current template, the oldest where there are several. */
export function findCurrent(deployment: KubeJson, sets: readonly KubeJson[]): KubeJson | undefined {
  const wanted = withoutHash(deployment["spec"].template);
  return [...sets].sort(byAge).find((set) => sameJson(withoutHash(set["spec"].template), wanted));
}

export const byAge = (a: KubeJson, b: KubeJson): number =>
  Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp) || revisionOf(a) - revisionOf(b);

function withoutHash(template: Json): Json {
  const { [HASH_LABEL]: _hash, ...labels } = template.metadata?.labels ?? {};
  const { creationTimestamp: _created, ...metadata } = template.metadata ?? {};
  return { ...template, metadata: { ...metadata, labels } };
}

/** The annotations that a ReplicaSet is to have: the Deployment's, its revision, and how large it may become. */
export function annotationsFor(
  deployment: KubeJson,
  set: KubeJson | undefined,
  revision: number,
  surge: number,
): Record<string, string> {
  const own = set?.metadata.annotations ?? {};
  const out = { ...own };
  for (const [key, value] of Object.entries(deployment.metadata.annotations ?? {})) if (!NOT_COPIED.has(key)) out[key] = value;
  const before = own[REVISION];
  if (before === undefined || Number(before) < revision) {
    out[REVISION] = String(revision);
    if (before !== undefined) out[HISTORY] = [...(own[HISTORY] ?? "").split(","), before].filter((item) => item !== "").join(",");
  }
  return { ...out, ...sizeAnnotations(deployment["spec"].replicas, surge) };
}

export const sizeAnnotations = (replicas: number, surge: number): Record<string, string> => ({
  [DESIRED]: String(replicas),
  [MAXIMUM]: String(replicas + surge),
});

/** Makes the ReplicaSet of the current template. Counts a collision in the status where its name is taken by something else. */
export function createCurrent(
  context: Context,
  deployment: KubeJson,
  revision: number,
  surge: number,
  replicas: number,
): KubeJson | undefined {
  const { spec, metadata } = deployment;
  const collisions = deployment["status"]?.collisionCount ?? 0;
  const hash = templateHash(spec.template, collisions);
  const name = `${metadata.name}-${hash}`;
  const labels = { ...spec.template.metadata?.labels, [HASH_LABEL]: hash };
  if (context.store.get(REPLICA_SETS, metadata.namespace, name)) {
    context.setStatus("deployments.apps", deployment, { ...deployment["status"], collisionCount: collisions + 1 });
    return undefined;
  }
  return context.create(REPLICA_SETS, metadata.namespace!, {
    apiVersion: "apps/v1",
    kind: "ReplicaSet",
    metadata: {
      name,
      labels,
      annotations: annotationsFor(deployment, undefined, revision, surge),
      ownerReferences: [controllerReference(deployment)],
    },
    spec: {
      replicas,
      ...(spec.minReadySeconds && { minReadySeconds: spec.minReadySeconds }),
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [HASH_LABEL]: hash } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  });
}
