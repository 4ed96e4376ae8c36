import { type Cluster, connectCluster } from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collectEnv } from "./collect.ts";

let embedded: EmbeddedCluster;
let cluster: Cluster;

const base64 = (text: string): string => Buffer.from(text).toString("base64");
const object = (kind: string, name: string, fields: object, namespace = "env") => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace },
  ...fields,
});
const containers = [
  {
    name: "sidecar",
    image: "node",
    env: [{ name: "ROLE", value: "sidecar" }],
  },
  {
    name: "core",
    image: "node",
    resources: { limits: { memory: "64Mi" } },
    envFrom: [{ configMapRef: { name: "conf" } }, { secretRef: { name: "keys" }, prefix: "K_" }],
    env: [
      { name: "URL", value: "http://$(LEAF_SERVICE_HOST):$(LEAF_SERVICE_PORT)/?$(K_PASSWORD)" },
      { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
      { name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
      { name: "MEMORY", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
    ],
  },
];
const template = {
  metadata: { labels: { app: "core" }, annotations: { "kubectl.kubernetes.io/default-container": "core" } },
  spec: {
    containers,
    initContainers: [{ name: "init", image: "node", env: [{ name: "ROLE", value: "init" }] }],
    restartPolicy: "Never",
  },
};

beforeAll(async () => {
  embedded = await startCluster({ node: false, controllers: false });
  await embedded.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "env" } },
    object("ConfigMap", "conf", { data: { MODE: "test" } }),
    object("Secret", "keys", { data: { PASSWORD: base64("s3cret") } }),
    object("Service", "leaf", { spec: { clusterIP: "10.96.44.1", ports: [{ port: 3010 }], selector: { app: "leaf" } } }),
    // Of no node of the embedded cluster: nobody runs it, so its status stays as it is here.
    object("Pod", "core-1", {
      metadata: { name: "core-1", namespace: "env", ...template.metadata },
      spec: { ...template.spec, nodeName: "elsewhere" },
      status: { phase: "Running", podIP: "10.1.2.3", podIPs: [{ ip: "10.1.2.3" }] },
    }),
    {
      apiVersion: "batch/v1",
      kind: "CronJob",
      metadata: { name: "nightly", namespace: "env" },
      spec: { schedule: "0 3 * * *", suspend: true, jobTemplate: { spec: { template } } },
    },
  ]);
  cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
});
afterAll(async () => {
  await cluster?.close();
  await embedded?.close();
});

const values = (entries: ReadonlyArray<{ name: string; value: string }>) =>
  Object.fromEntries(entries.map(({ name, value }) => [name, value]));

describe("collectEnv", () => {
  it("gives a pod's environment", async () => {
    const found = await collectEnv(cluster, { workload: "pod/core-1", namespace: "env" });
    expect(found).toMatchObject({
      workload: "pod/core-1",
      namespace: "env",
      container: "core",
      pod: { namespace: "env", name: "core-1" },
      warnings: [],
    });
    expect(values(found.entries)).toMatchObject({
      MODE: "test",
      K_PASSWORD: "s3cret",
      URL: "http://10.96.44.1:3010/?s3cret",
      NAME: "core-1",
      IP: "10.1.2.3",
      MEMORY: "64",
      LEAF_SERVICE_HOST: "10.96.44.1",
    });
    expect(values(found.entries)["KUBERNETES_SERVICE_HOST"]).toMatch(/^\d+\./);
    expect(found.entries.find(({ name }) => name === "URL")?.sensitive).toBe(true);
    expect(found.references).toEqual({ configMaps: ["conf"], secrets: ["keys"] });
  });

  it("needs no pod, takes values from a named one, and says what it had to leave out", async () => {
    const without = await collectEnv(cluster, { workload: "cronjob/nightly", namespace: "env" });
    expect(without.pod).toBeUndefined();
    expect(values(without.entries)).toMatchObject({ MODE: "test", MEMORY: "64" });
    expect(without.warnings.map(({ reason, name }) => [reason, name])).toEqual([
      ["NEEDS_POD", "NAME"],
      ["NEEDS_POD", "IP"],
    ]);
    const named = await collectEnv(cluster, { workload: "cj/nightly", namespace: "env", pod: "core-1" });
    expect(named.pod?.name).toBe("core-1");
    expect(values(named.entries)).toMatchObject({ NAME: "core-1", IP: "10.1.2.3" });
  });

  it("gives services the addresses that they have here", async () => {
    const addressOf = ({ name }: { name: string }) => (name === "leaf" ? "127.72.0.9" : undefined);
    const found = await collectEnv(cluster, { workload: "pod/core-1", namespace: "env", addressOf });
    expect(values(found.entries)).toMatchObject({ URL: "http://127.72.0.9:3010/?s3cret", LEAF_PORT: "tcp://127.72.0.9:3010" });
  });

  it("takes the container that is named, init containers too", async () => {
    for (const container of ["sidecar", "init"]) {
      const found = await collectEnv(cluster, { workload: "pod/core-1", namespace: "env", container });
      expect(values(found.entries)).toMatchObject({ ROLE: container });
      expect(found.pod).toBeUndefined();
    }
    await expect(collectEnv(cluster, { workload: "pod/core-1", namespace: "env", container: "x" })).rejects.toMatchObject({
      code: "ENV_CONTAINER_UNKNOWN",
      details: { containers: ["sidecar", "core", "init"] },
    });
  });

  it("asks other sources too, whose values win", async () => {
    const origin = { from: "plugin", plugin: "p" } as const;
    const source = {
      name: "p",
      collect: async ({ workload, container }: { workload: string; container?: string }) => [
        { name: "MODE", value: `${workload} ${container}`, origin },
        { name: "EXTRA", value: "1", origin },
      ],
    };
    const found = await collectEnv(cluster, { workload: "pod/core-1", namespace: "env", sources: [source] });
    expect(values(found.entries)).toMatchObject({ MODE: "pod/core-1 core", EXTRA: "1" });
  });

  it("names the Secret that may not be read, or goes on without it", async () => {
    embedded.addUser({ name: "dev", token: true });
    const rule = (resources: string[], over: object = {}) => ({
      apiGroups: [""],
      resources,
      verbs: ["get", "list", "watch"],
      ...over,
    });
    await embedded.apply([
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name: "dev", namespace: "env" },
        rules: [rule(["pods", "services", "configmaps"])],
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        metadata: { name: "dev", namespace: "env" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "dev" },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "dev" }],
      },
    ]);
    const { writeFile, rm } = await import("node:fs/promises");
    const path = `${embedded.kubeconfigPath}.dev`;
    await writeFile(path, embedded.kubeconfig("dev"), { mode: 0o600 });
    await using limited = await connectCluster({ kubeconfig: path });
    await rm(path);
    const refused = await collectEnv(limited, { workload: "pod/core-1", namespace: "env" }).catch((error) => error);
    expect(refused).toMatchObject({ code: "KUBE_FORBIDDEN" });
    expect(`${refused.message} ${refused.hint}`).toContain("keys");
    const found = await collectEnv(limited, { workload: "pod/core-1", namespace: "env", skipForbidden: true });
    expect(values(found.entries)).toMatchObject({ MODE: "test", NAME: "core-1" });
    expect(Object.keys(values(found.entries)).filter((name) => /^K_|^URL$|^KUBERNETES/.test(name))).toEqual([]);
    expect(found.warnings.filter(({ reason }) => reason === "FORBIDDEN")).toHaveLength(3);
  });

  it("says what is missing", async () => {
    const broken = {
      ...template.spec,
      containers: [{ name: "c", image: "node", envFrom: [{ secretRef: { name: "none" } }] }],
      nodeName: "elsewhere",
    };
    await embedded.apply([object("Pod", "broken", { spec: broken })]);
    await expect(collectEnv(cluster, { workload: "pod/broken", namespace: "env" })).rejects.toMatchObject({
      code: "ENV_REFERENCE_MISSING",
      details: { missing: ["Secret none"] },
    });
    await expect(collectEnv(cluster, { workload: "pod/nobody", namespace: "env" })).rejects.toMatchObject({
      code: "KUBE_WORKLOAD_UNKNOWN",
    });
  });

  it("refuses options of another form", async () => {
    for (const bad of [
      { workload: undefined },
      { workload: {} },
      { workload: "pod/core-1", addressOf: "x" },
      { workload: "pod/core-1", sources: [{}] },
    ]) {
      await expect(collectEnv(cluster, bad as never), JSON.stringify(bad)).rejects.toMatchObject({ code: "ENV_OPTION_INVALID" });
    }
  });

  it("takes three round trips at most, however many objects there are", async () => {
    const names = Array.from({ length: 20 }, (_, at) => `part-${at}`);
    const data = (name: string, encode: (text: string) => string) =>
      Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`${name}-${at}`, encode(String(at))]));
    await embedded.apply([
      ...names.map((name, at) =>
        at % 2 ? object("Secret", name, { data: data(name, base64) }) : object("ConfigMap", name, { data: data(name, String) }),
      ),
      object("Pod", "large", {
        spec: {
          containers: [
            {
              name: "c",
              image: "node",
              envFrom: names.map((name, at) => (at % 2 ? { secretRef: { name } } : { configMapRef: { name } })),
            },
          ],
        },
      }),
    ]);
    const LATENCY = 150;
    let [now, most, trips] = [0, 0, 0];
    const slow = async <T>(work: () => Promise<T>): Promise<T> => {
      if (now++ === 0) trips++;
      most = Math.max(most, now);
      try {
        const [result] = await Promise.all([work(), new Promise((resolve) => setTimeout(resolve, LATENCY))]);
        return result;
      } finally {
        now--;
      }
    };
    const far: Cluster = {
      ...cluster,
      info: cluster.info,
      get: (type, ref, options) => slow(() => cluster.get(type, ref, options)),
      list: (type, options) => slow(() => cluster.list(type, options)),
    };
    const { entries } = await collectEnv(far, { workload: "pod/large", namespace: "env" });
    expect(entries.filter(({ name }) => name.startsWith("part-"))).toHaveLength(200);
    expect(trips).toBeLessThanOrEqual(3);
    expect(most).toBeGreaterThanOrEqual(20);
  });

  it("reads each object once", async () => {
    const seen: string[] = [];
    const counting: Cluster = {
      ...cluster,
      get info() {
        return cluster.info;
      },
      get: (type, ref, options) => {
        seen.push(`${type.plural}/${ref.name}`);
        return cluster.get(type, ref, options);
      },
      list: (type, options) => {
        seen.push(type.plural);
        return cluster.list(type, options);
      },
    };
    await collectEnv(counting, { workload: "pod/core-1", namespace: "env" });
    expect(seen.sort()).toEqual(["configmaps/conf", "pods/core-1", "secrets/keys", "services", "services/kubernetes"]);
  });
});
