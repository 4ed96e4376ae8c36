import { HEALTH_PORT } from "./protocol.ts";
import { labelsOf, OWNER_ANNOTATION, RELAY_LABEL, RELAY_UID_LABEL, relayFilesName } from "./relay-names.ts";
import { DEFAULT_IMAGE, DEFAULT_RESOURCES, type RelaySpec, type RelayUser } from "./relay-spec.ts";

const DIRECTORY = "/shipside";
export const PROGRAM = "relay.mjs";
/**
 * How the program is run. What a request leaves behind is dead at once: a small young generation stays in the processor's caches and costs
 * nothing to collect, and threads that collect along with the one that serves would take what little a pod may have of a processor.
 */
export const PROGRAM_COMMAND = ["node", "--max-semi-space-size=1", "--single-threaded-gc", PROGRAM] as const;
const VOLUMES = "/volumes";
/** Where a Secret for TLS is mounted in the relay's pod. */
export const TLS = "/tls";
/** Of the image's unprivileged user. */
const USER = 1000;

/** Where a claim is mounted in the relay's pod. */
export const claimPath = (claim: string): string => `${VOLUMES}/${claim}`;

/** `uid`: the Deployment's; its first template, without replicas, has none. */
export function podTemplate(spec: RelaySpec, selfRemoving: boolean, uid: string): unknown {
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
