import { programPath } from "../node/program.ts";

export const SAMPLE_NAMESPACE = "sample";

/** The local version of core: a plain Node program that reads its configuration from its environment and serves on `PORT`. */
export const sampleCorePath = (): string => programPath("sample/apps/local-core");

const labels = (app: string): Record<string, string> => ({ "app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "sample" });

const meta = (name: string, app = name): object => ({ name, namespace: SAMPLE_NAMESPACE, labels: labels(app) });

const run = (app: string): string[] => ["node", programPath(`sample/apps/${app}`)];

/** Quick to find a program ready that starts in milliseconds. */
const httpProbe = { httpGet: { path: "/healthz", port: "http" }, periodSeconds: 1, failureThreshold: 2 };

const podName = { name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } };

const service = (name: string, port: { name: string; port: number }): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: meta(name),
  spec: { selector: labels(name), ports: [{ ...port, targetPort: port.name }] },
});

function deployment(name: string, port: number, pod: { container?: object; env?: object[]; volumes?: object[] } = {}): object {
  const container = {
    name,
    image: "node:24",
    command: run(name),
    ports: [{ name: "http", containerPort: port }],
    env: [{ name: "PORT", value: String(port) }, podName, ...(pod.env ?? [])],
    readinessProbe: httpProbe,
    ...pod.container,
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: meta(name),
    spec: {
      replicas: 1,
      selector: { matchLabels: labels(name) },
      template: {
        metadata: { labels: labels(name) },
        spec: { terminationGracePeriodSeconds: 5, containers: [container], ...(pod.volumes && { volumes: pod.volumes }) },
      },
    },
  };
}

const configMap = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: meta("core-config", "core"),
  data: {
    GREETING: "Hello from the cluster",
    LOG_LEVEL: "info",
    LEAF_URL: "http://leaf:3010",
    "features.json": `${JSON.stringify({ newCheckout: true, recommendations: false }, null, 2)}\n`,
  },
};

const secret = {
  apiVersion: "v1",
  kind: "Secret",
  metadata: meta("core-secret", "core"),
  type: "Opaque",
  stringData: {
    API_TOKEN: "s3cr3t-t0ken-with-$-and-'quotes'",
    SIGNING_KEY:
      "-----BEGIN SAMPLE KEY-----\nbm90IGEgcmVhbCBrZXksIGJ1dCBhIHJlYWwgbXVsdGktbGluZSB2YWx1ZQ==\n-----END SAMPLE KEY-----\n",
  },
};

const core = deployment("core", 3020, {
  env: [
    { name: "POD_NAMESPACE", valueFrom: { fieldRef: { fieldPath: "metadata.namespace" } } },
    { name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
    { name: "MEMORY_LIMIT_MIB", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
    { name: "DATABASE_URL", value: "database.$(POD_NAMESPACE).svc.cluster.local:6379" },
    { name: "API_TOKEN", valueFrom: { secretKeyRef: { name: "core-secret", key: "API_TOKEN" } } },
    { name: "BANNER", value: "core of $(POD_NAMESPACE)\n  serves \"orders\" & 'invoices'\n  for $$(NOBODY) in particular" },
  ],
  container: {
    envFrom: [{ configMapRef: { name: "core-config" } }, { secretRef: { name: "core-secret" }, prefix: "SECRET_" }],
    resources: { requests: { cpu: "50m", memory: "64Mi" }, limits: { memory: "256Mi" } },
    volumeMounts: [
      { name: "config", mountPath: "/etc/core", readOnly: true },
      { name: "cache", mountPath: "/var/cache/core" },
    ],
  },
  volumes: [
    { name: "config", configMap: { name: "core-config" } },
    { name: "cache", emptyDir: {} },
  ],
});

const database = {
  apiVersion: "apps/v1",
  kind: "StatefulSet",
  metadata: meta("database"),
  spec: {
    serviceName: "database-pods",
    replicas: 1,
    selector: { matchLabels: labels("database") },
    template: {
      metadata: { labels: labels("database") },
      spec: {
        terminationGracePeriodSeconds: 5,
        containers: [
          {
            name: "database",
            image: "node:24",
            command: run("database"),
            ports: [{ name: "resp", containerPort: 6379 }],
            env: [
              { name: "PORT", value: "6379" },
              { name: "DATA_DIR", value: "/var/lib/database" },
            ],
            readinessProbe: { tcpSocket: { port: "resp" }, periodSeconds: 1 },
            volumeMounts: [{ name: "data", mountPath: "/var/lib/database" }],
          },
        ],
      },
    },
    volumeClaimTemplates: [
      {
        metadata: { name: "data", labels: labels("database") },
        spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
      },
    ],
  },
};

/**
 * The sample application in the namespace `sample`, in the order in which it is to be created: frontend (3000) → core (3020) → leaf
 * (3010), and a database (6379) on a volume of its own, as a StatefulSet with both a ClusterIP and a headless service. core has every
 * kind of env. As a user would apply it: the API server fills in the rest.
 */
export function sampleManifests(): object[] {
  return structuredClone([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: SAMPLE_NAMESPACE } },
    configMap,
    secret,
    service("leaf", { name: "http", port: 3010 }),
    service("core", { name: "http", port: 3020 }),
    service("frontend", { name: "http", port: 3000 }),
    service("database", { name: "resp", port: 6379 }),
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: meta("database-pods", "database"),
      spec: { clusterIP: "None", selector: labels("database"), ports: [{ name: "resp", port: 6379, targetPort: "resp" }] },
    },
    deployment("leaf", 3010),
    database,
    core,
    deployment("frontend", 3000),
  ]);
}
