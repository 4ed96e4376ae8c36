import { createHash } from "node:crypto";
import type { ConfigMap, KubeObject, OwnerReference, Secret } from "@shipside/kube";
import type { Role, RoleBinding } from "./kinds.ts";
import { type AcceptPort, HEALTH_PORT, type RelayConfig, type SwitchRecord } from "./protocol.ts";

/** What a relay is wanted for. */
export interface RelaySpec {
  namespace: string;
  /** Of its Deployment and everything that belongs to it: an RFC 1123 label of at most 46 characters, see {@link relayName}. */
  name: string;
  /** `user@machine`, shown to who finds it. */
  owner: string;
  accept?: readonly AcceptPort[];
  switch?: SwitchRecord;
  /** Further labels of its pods: a switched selector's. */
  podLabels?: Readonly<Record<string, string>>;
  /** How long it stays when nobody is linked, in s, 1–86,400. Default 60. */
  graceSeconds?: number;
  /**
   * How long it goes on taking connections at least after it gave a Service back, in s, 0–60: every node has to learn of that. Default 3; a
   * cluster whose nodes are slow to follow its endpoints takes more.
   */
  settleSeconds?: number;
  /** 2: on different nodes where there are, with a disruption budget and short tolerations. Default 1. */
  replicas?: 1 | 2;
  /** With Node 22 or later, and `node` on its PATH. Default {@link DEFAULT_IMAGE}. */
  image?: string;
  imagePullSecrets?: readonly string[];
  /** Requests and limits are always set: a quota or a limit range may ask for them. Defaults {@link DEFAULT_RESOURCES}. */
  resources?: { requests?: Readonly<Record<string, string>>; limits?: Readonly<Record<string, string>> };
  /** Whether it may remove itself (and restore what it switched): that takes a Role. Default true, where the user may make one. */
  selfRemoving?: boolean;
  /** The volumes that it serves, and as whom. */
  files?: RelayFiles;
  /** A Secret of type `kubernetes.io/tls`, for the ports of `accept` that have `tls`. Its pods mount it: nobody else needs to read it. */
  tlsSecret?: string;
}

/** PersistentVolumeClaims of a workload's, to be reached as the workload reaches them. Each stands at {@link claimPath} in the relay's pod. */
export interface RelayFiles {
  claims: ReadonlyArray<{ name: string; readOnly?: boolean; mountPropagation?: "HostToContainer" }>;
  /** Its pod goes to this node and no other, past the scheduler: where a claim may be on one node at a time. */
  nodeName?: string;
  tolerations?: readonly object[];
  user: RelayUser;
}

/** Whom the relay runs as. No `fsGroup`: the kubelet would change owners for it, and as a supplementary group it opens the same files. */
export interface RelayUser {
  uid: number;
  gid: number;
  supplementalGroups?: readonly number[];
  /** Added for uid 0 alone, which without any can't read what others own. */
  capabilities?: readonly string[];
  seLinuxOptions?: Readonly<Record<string, string>>;
}

/** Where a claim is mounted in the relay's pod. */
export const claimPath = (claim: string): string => `${VOLUMES}/${claim}`;

/** A Node that is supported for years, in the image that is most often on a node already. */
export const DEFAULT_IMAGE = "node:24-slim";

export const DEFAULT_RESOURCES = {
  requests: { cpu: "20m", memory: "64Mi" },
  limits: { cpu: "1", memory: "256Mi" },
} as const;

/** By this label the Deployment knows its pods, and a person what belongs together. */
export const RELAY_LABEL = "shipside.dev/relay";
/** On the Service by which the relay of an intercept reaches the real pods: nobody else needs it. */
export const BACKEND_LABEL = "shipside.dev/backend-of";
/** On its pods, with the Deployment's uid: those of an earlier Deployment of the same name live on for a while, with another secret. */
const RELAY_UID_LABEL = "shipside.dev/relay-uid";

/** The label selector of a relay's own pods. */
export const relayPodSelector = ({ name, uid }: { name: string; uid: string }): string =>
  `${RELAY_LABEL}=${name},${RELAY_UID_LABEL}=${uid}`;
/** Who brought it: `user@machine`. */
export const OWNER_ANNOTATION = "shipside.dev/owner";

/** Names of Deployments are labels of their pods, whose names add 17 characters and must fit 63. */
const LONGEST_NAME = 46;
const DIRECTORY = "/shipside";
const PROGRAM = "relay.mjs";
/**
 * How the program is run. What a request leaves behind is dead at once: a small young generation stays in the processor's caches and costs
 * nothing to collect, and threads that collect along with the one that serves would take what little a pod may have of a processor.
 */
export const PROGRAM_COMMAND = ["node", "--max-semi-space-size=1", "--single-threaded-gc", PROGRAM] as const;
const VOLUMES = "/volumes";
const TLS = "/tls";
/** Of the image's unprivileged user. */
const USER = 1000;

/** `shipside-PURPOSE-SUFFIX`: at most 46 characters, for any purpose; `unique` makes it differ from others of the same purpose. */
export function relayName(purpose: string, unique: string): string {
  const suffix = createHash("sha256").update(`${purpose} ${unique}`).digest("hex").slice(0, 8);
  const room = LONGEST_NAME - "shipside--".length - suffix.length;
  const slug = purpose
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, room)
    .replace(/^-+|-+$/g, "");
  return ["shipside", slug, suffix].filter(Boolean).join("-");
}

function labelsOf(name: string): Record<string, string> {
  return { "app.kubernetes.io/managed-by": "shipside", "app.kubernetes.io/component": "relay", [RELAY_LABEL]: name };
}

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

function podTemplate(spec: RelaySpec, selfRemoving: boolean, uid: string): unknown {
  const { name, owner, accept = [], image = DEFAULT_IMAGE, resources, imagePullSecrets = [], podLabels, files, tlsSecret } = spec;
  const claims = files?.claims ?? [];
  const lowPorts = accept.some(({ listen }) => listen < 1024);
  return {
    // Its own label last: whatever the switched selector's keys are, the Deployment knows its pods.
    metadata: {
      labels: { ...labelsOf(name), ...NO_SIDECAR.labels, ...podLabels, [RELAY_LABEL]: name, [RELAY_UID_LABEL]: uid },
      annotations: { [OWNER_ANNOTATION]: owner, ...NO_SIDECAR.annotations },
    },
    spec: {
      ...(selfRemoving && { serviceAccountName: name }),
      // What it needs of a token is projected below, and lives for an hour.
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 30,
      ...(imagePullSecrets.length > 0 && { imagePullSecrets: imagePullSecrets.map((secret) => ({ name: secret })) }),
      ...(files?.nodeName !== undefined && { nodeName: files.nodeName }),
      ...(files?.tolerations && { tolerations: files.tolerations }),
      securityContext: {
        ...identity(files?.user),
        seccompProfile: { type: "RuntimeDefault" },
        ...(lowPorts && { sysctls: [{ name: "net.ipv4.ip_unprivileged_port_start", value: "0" }] }),
      },
      containers: [
        {
          name: "relay",
          image,
          command: PROGRAM_COMMAND,
          workingDir: DIRECTORY,
          ports: [
            { name: "health", containerPort: HEALTH_PORT },
            ...accept.map(({ listen, protocol, targetName }) => ({
              containerPort: listen,
              protocol,
              ...(targetName !== undefined && { name: targetName }),
            })),
          ],
          readinessProbe: { httpGet: { path: "/", port: HEALTH_PORT }, periodSeconds: 1, failureThreshold: 2 },
          resources: {
            requests: { ...DEFAULT_RESOURCES.requests, ...resources?.requests },
            limits: { ...DEFAULT_RESOURCES.limits, ...resources?.limits },
          },
          securityContext: {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: capabilities(files?.user),
          },
          volumeMounts: [
            { name: "relay", mountPath: DIRECTORY, readOnly: true },
            ...(tlsSecret === undefined ? [] : [{ name: "tls", mountPath: TLS, readOnly: true }]),
            ...claims.map((claim, index) => ({
              name: `claim-${index}`,
              mountPath: claimPath(claim.name),
              ...(claim.readOnly && { readOnly: true }),
              ...(claim.mountPropagation && { mountPropagation: claim.mountPropagation }),
            })),
          ],
        },
      ],
      volumes: [
        {
          name: "relay",
          projected: {
            sources: [
              { configMap: { name: relayFilesName({ name, uid }) } },
              { secret: { name: relayFilesName({ name, uid }) } },
              ...(selfRemoving
                ? [
                    { serviceAccountToken: { path: "token", expirationSeconds: 3600 } },
                    { configMap: { name: "kube-root-ca.crt", items: [{ key: "ca.crt", path: "ca.crt" }] } },
                  ]
                : []),
            ],
          },
        },
        // Optional: a Secret that isn't there would keep the pod from starting, and the program says it better.
        ...(tlsSecret === undefined ? [] : [{ name: "tls", secret: { secretName: tlsSecret, optional: true } }]),
        ...claims.map((claim, index) => ({
          name: `claim-${index}`,
          persistentVolumeClaim: { claimName: claim.name, ...(claim.readOnly && { readOnly: true }) },
        })),
      ],
      ...(spec.replicas === 2 && spread(name)),
    },
  };
}

/**
 * Asks the injectors of service meshes to leave the pod as it is, where its namespace has them put a sidecar into every pod: one would answer for the relay's
 * ports, stand between it and port-forward, and need rights that the pod hasn't. As Istio's, Kuma's, Linkerd's, Consul's and App Mesh's documentation has it.
 */
const NO_SIDECAR = {
  labels: { "sidecar.istio.io/inject": "false", "kuma.io/sidecar-injection": "disabled" },
  annotations: {
    "linkerd.io/inject": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
    "appmesh.k8s.aws/sidecarInjectorWebhook": "disabled",
  },
};

function identity(user: RelayUser = { uid: USER, gid: USER }): Record<string, unknown> {
  const { uid, gid, supplementalGroups = [], seLinuxOptions } = user;
  return {
    ...(uid !== 0 && { runAsNonRoot: true }),
    runAsUser: uid,
    runAsGroup: gid,
    ...(supplementalGroups.length > 0 && { supplementalGroups }),
    ...(seLinuxOptions && { seLinuxOptions }),
  };
}

function capabilities(user: RelayUser | undefined): Record<string, unknown> {
  const add = user?.uid === 0 ? (user.capabilities ?? []) : [];
  return { drop: ["ALL"], ...(add.length > 0 && { add }) };
}

/** On two nodes where there are two, and off a node that is lost within 5 s rather than the five minutes that are the default. */
function spread(name: string): Record<string, unknown> {
  const labelSelector = { matchLabels: { [RELAY_LABEL]: name } };
  const gone = (key: string) => ({ key, operator: "Exists", effect: "NoExecute", tolerationSeconds: 5 });
  return {
    affinity: {
      podAntiAffinity: {
        preferredDuringSchedulingIgnoredDuringExecution: [
          { weight: 100, podAffinityTerm: { labelSelector, topologyKey: "kubernetes.io/hostname" } },
        ],
      },
    },
    tolerations: [gone("node.kubernetes.io/not-ready"), gone("node.kubernetes.io/unreachable")],
  };
}

/** What each object of the relay's has in common: garbage collection takes it when the Deployment goes. */
function ownedMeta(spec: RelaySpec, uid: string, name = spec.name): KubeObject["metadata"] {
  const { namespace } = spec;
  const owner: OwnerReference = { apiVersion: "apps/v1", kind: "Deployment", name: spec.name, uid };
  return { name, namespace, labels: labelsOf(spec.name), ownerReferences: [owner] };
}

/**
 * Of a relay's ConfigMap and its Secret. Another one for each Deployment: a kubelet may still have those of an earlier one of the same name
 * at hand, and give them to the new pods.
 */
export const relayFilesName = ({ name, uid }: { name: string; uid: string }): string => `${name}-${uid.slice(0, 8)}`;

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
