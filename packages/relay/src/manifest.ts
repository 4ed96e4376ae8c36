import type { ConfigMap, KubeObject, OwnerReference, Secret } from "@shipside/kube";
import type { Role, RoleBinding } from "./kinds.ts";
import { claimPath, PROGRAM, podTemplate, TLS } from "./pod-template.ts";
import type { RelayConfig } from "./protocol.ts";
import { labelsOf, OWNER_ANNOTATION, RELAY_LABEL, relayFilesName } from "./relay-names.ts";
import type { RelaySpec } from "./relay-spec.ts";

interface RelayDeployment extends KubeObject {
  spec: Record<string, unknown>;
}

/**
 * The Deployment, first with no replicas: everything else is owned by it, so it comes first, and its pods shall find all of it there.
 * `grown` is the patch (merge) that starts them.
 */
export function deploymentOf(spec: RelaySpec): RelayDeployment {
  const { name, namespace, owner } = spec;
  return {
    metadata: { name, namespace, labels: labelsOf(name), annotations: { [OWNER_ANNOTATION]: owner } },
    spec: {
      replicas: 0,
      revisionHistoryLimit: 0,
      selector: { matchLabels: { [RELAY_LABEL]: name } },
      template: podTemplate(spec, false, ""),
    },
  };
}

/** The merge patch that starts its pods, once the rest is there. `uid` is the Deployment's. */
export function startPatch(spec: RelaySpec, selfRemoving: boolean, uid: string): unknown {
  return { spec: { replicas: spec.replicas ?? 1, template: podTemplate(spec, selfRemoving, uid) } };
}

/** What each object of the relay's has in common: garbage collection takes it when the Deployment goes. */
function ownedMeta(spec: RelaySpec, uid: string, name = spec.name): KubeObject["metadata"] {
  const { namespace } = spec;
  const owner: OwnerReference = { apiVersion: "apps/v1", kind: "Deployment", name: spec.name, uid };
  return { name, namespace, labels: labelsOf(spec.name), ownerReferences: [owner] };
}

export function configMapOf(spec: RelaySpec, uid: string, program: string): ConfigMap {
  const { name, namespace, graceSeconds = 60, accept = [] } = spec;
  const config: RelayConfig = {
    name,
    namespace,
    graceSeconds,
    ...(spec.settleSeconds !== undefined && { settleSeconds: spec.settleSeconds }),
    accept,
    ...(spec.switch && { switch: spec.switch }),
    ...(spec.tlsSecret !== undefined && { tls: { secret: spec.tlsSecret, directory: TLS } }),
    ...(spec.files && { files: spec.files.claims.map(({ name: claim }) => claimPath(claim)) }),
    ...(spec.files?.silenceMs !== undefined && { silenceMs: spec.files.silenceMs }),
  };
  return {
    metadata: ownedMeta(spec, uid, relayFilesName({ name, uid })),
    data: { [PROGRAM]: program, "config.json": JSON.stringify(config) },
    immutable: true,
  };
}

export function secretOf(spec: RelaySpec, uid: string, secret: string): Secret {
  const name = relayFilesName({ name: spec.name, uid });
  return { metadata: ownedMeta(spec, uid, name), data: { secret: Buffer.from(secret).toString("base64") }, immutable: true };
}

/**
 * What a relay may do by itself: delete its own Deployment, restore the one Service it switched (and see whether it is the last replica
 * that is ready), and tell other replicas that it is in use. Each object by name. RBAC can't limit a patch to a part of an object: who
 * holds this token may change all of that Service.
 */
export function roleOf(spec: RelaySpec, uid: string): Role {
  const { name, switch: switched, replicas = 1 } = spec;
  return {
    metadata: ownedMeta(spec, uid),
    rules: [
      { apiGroups: ["apps"], resources: ["deployments"], resourceNames: [name], verbs: ["get", "delete"] },
      ...(switched
        ? [{ apiGroups: [""], resources: ["services"], resourceNames: [switched.service], verbs: ["get", "patch"] }]
        : []),
      ...(replicas > 1
        ? [{ apiGroups: ["coordination.k8s.io"], resources: ["leases"], resourceNames: [name], verbs: ["get", "patch"] }]
        : []),
    ],
  };
}

export function roleBindingOf(spec: RelaySpec, uid: string): RoleBinding {
  const { name, namespace } = spec;
  return {
    metadata: ownedMeta(spec, uid),
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
    subjects: [{ kind: "ServiceAccount", name, namespace }],
  };
}

export function serviceAccountOf(spec: RelaySpec, uid: string): KubeObject & { automountServiceAccountToken: boolean } {
  return { metadata: ownedMeta(spec, uid), automountServiceAccountToken: false };
}

/** By which replicas know of each other's leases: see the program's heartbeat. */
export function leaseOf(spec: RelaySpec, uid: string): KubeObject {
  return { metadata: ownedMeta(spec, uid) };
}

export function disruptionBudgetOf(spec: RelaySpec, uid: string): KubeObject & { spec: unknown } {
  return {
    metadata: ownedMeta(spec, uid),
    spec: { minAvailable: 1, selector: { matchLabels: { [RELAY_LABEL]: spec.name } } },
  };
}
