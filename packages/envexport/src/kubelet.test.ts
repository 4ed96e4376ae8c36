import { randomBytes } from "node:crypto";
import {
  type Cluster,
  CONFIG_MAPS,
  type Container,
  connectCluster,
  DEPLOYMENTS,
  type EnvVar,
  type KubeObject,
  NAMESPACES,
  PODS,
  type Pod,
  type ResourceType,
  SECRETS,
  SERVICES,
} from "@shipside/kube";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collectEnv } from "./collect.ts";

const soak = process.env["SHIPSIDE_SOAK"] === "1";
/** With the kubeconfig of a real cluster the same is asked of its kubelets, in a namespace that is made for it and deleted. */
const real = process.env["SHIPSIDE_E2E_KUBECONFIG"];
const NAMESPACE = `kubelet-${randomBytes(4).toString("hex")}`;
const CONTAINERS = 10;
let embedded: EmbeddedCluster | undefined;
let cluster: Cluster;

/** Runs, and has `cat`. */
const IDLE = { image: process.env["SHIPSIDE_E2E_SHELL_IMAGE"] ?? "busybox:1.36", command: ["sleep", "1000000"] };

const text = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: fc.constantFrom(..."$()aAB_ '\"\\\n={}é"), maxLength: 16 }) },
  {
    weight: 2,
    arbitrary: fc
      .array(
        fc.constantFrom("$(T_A)", "$(T_B)", "$$(T_A)", "$(K1)", "$(P_K1)", "$(DB_SERVICE_HOST)", "$(NONE)", "$", "x", "$$", "$("),
        { maxLength: 6 },
      )
      .map((parts) => parts.join("")),
  },
);
const variable = fc.constantFrom("T_A", "T_B", "T_C", "K1", "k.2", "P_K1", "DB_PORT", "KUBERNETES_SERVICE_PORT");
const object = fc.constantFrom("one", "two");
const key = fc.constantFrom("K1", "k.2", "K3");
const optional = fc
  .constantFrom({ name: "one", key: "none" }, { name: "none", key: "K1" })
  .map((ref) => ({ ...ref, optional: true }));
const reference = fc.oneof({ weight: 4, arbitrary: fc.record({ name: object, key }) }, { weight: 1, arbitrary: optional });
const valueFrom = fc.oneof(
  reference.map((ref) => ({ configMapKeyRef: ref })),
  reference.map((ref) => ({ secretKeyRef: ref })),
  fc
    .constantFrom(
      ...[
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "metadata.labels['app']",
        "metadata.labels['none']",
        "metadata.annotations['a/b']",
      ],
      ...["spec.nodeName", "spec.serviceAccountName", "status.podIP", "status.podIPs", "status.hostIP", "status.hostIPs"],
    )
    .map((fieldPath) => ({ fieldRef: { fieldPath } })),
  fc
    .record({
      resource: fc.constantFrom("limits.cpu", "limits.memory", "requests.cpu", "requests.memory", "limits.ephemeral-storage"),
      divisor: fc.constantFrom("0", "1"),
    })
    .map((resourceFieldRef) => ({ resourceFieldRef })),
  fc.constantFrom("1m", "1").map((divisor) => ({ resourceFieldRef: { resource: "limits.cpu", divisor } })),
  fc.constantFrom("1Ki", "1").map((divisor) => ({ resourceFieldRef: { resource: "limits.memory", divisor } })),
);
const env: fc.Arbitrary<EnvVar[]> = fc.array(
  fc.oneof(fc.record({ name: variable, value: text }), fc.record({ name: variable, valueFrom })),
  { maxLength: 10 },
);
const source = fc
  .record({ name: fc.constantFrom("one", "two", "none"), secret: fc.boolean(), prefix: fc.constantFrom("", "P_", "x.") })
  .map(({ name, secret, prefix }) => {
    const ref = { name, ...(name === "none" && { optional: true }) };
    return { ...(prefix && { prefix }), ...(secret ? { secretRef: ref } : { configMapRef: ref }) };
  });
/** What is requested is little: all of a pod's containers are to fit on one small node. */
const resources = fc.constantFrom<Record<string, Record<string, string>>>(
  {},
  { limits: { cpu: "50m", memory: "129e6" } },
  { limits: { cpu: "1500m", memory: "129e6" }, requests: { cpu: "5m" } },
  { limits: { memory: "64Mi" }, requests: { cpu: "25m", memory: "1M" } },
);
const containers: fc.Arbitrary<Container[]> = fc
  .array(fc.record({ env, envFrom: fc.array(source, { maxLength: 3 }), resources }), {
    minLength: CONTAINERS,
    maxLength: CONTAINERS,
  })
  .map((all) => all.map((each, at) => ({ name: `c${at}`, ...IDLE, ...each })));
const spec = fc.record({ containers, enableServiceLinks: fc.boolean() });

const TYPES: Record<string, ResourceType<KubeObject>> = {
  ConfigMap: CONFIG_MAPS,
  Secret: SECRETS,
  Service: SERVICES,
  Pod: PODS,
  Deployment: DEPLOYMENTS,
};

const create = async (kind: string, name: string, fields: object, metadata: object = {}): Promise<void> => {
  const object = {
    apiVersion: kind === "Deployment" ? "apps/v1" : "v1",
    kind,
    metadata: { ...metadata, name, namespace: NAMESPACE },
    ...fields,
  };
  await cluster.create(TYPES[kind]!, object as KubeObject);
};
const base64 = (value: string): string => Buffer.from(value).toString("base64");

beforeAll(async () => {
  embedded = real ? undefined : await startCluster();
  cluster = await connectCluster({ kubeconfig: real ?? embedded!.kubeconfigPath });
  await cluster.create(NAMESPACES, { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  for (const name of ["one", "two"]) {
    const data = { K1: `${name} $(T_A)`, "k.2": "a\nb ", K3: "" };
    const secret = Object.fromEntries(Object.entries(data).map(([k, value]) => [k, base64(`secret ${value}`)]));
    await create("ConfigMap", name, { data, binaryData: { BIN: "AAAA" } });
    await create("Secret", name, { data: secret });
  }
  const ports = [
    { name: "sql", port: 5432 },
    { name: "ui", port: 80 },
  ];
  await create("Service", "db", { spec: { ports, selector: { app: "db" } } });
  await create("Service", "headless", { spec: { clusterIP: "None", ports: [{ port: 1 }], selector: { app: "db" } } });
  // A real cluster makes a new namespace's service account in its own time.
  for (const until = Date.now() + 20_000; Date.now() < until; await new Promise((resolve) => setTimeout(resolve, 200))) {
    const dryRun = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "x", namespace: NAMESPACE },
      spec: { containers: [{ name: "c", ...IDLE }] },
    };
    if (await cluster.create(PODS, dryRun as Pod, { dryRun: true }).then(Boolean, () => false)) break;
  }
}, 40_000);
afterAll(async () => {
  await cluster?.delete(NAMESPACES, { name: NAMESPACE });
  await cluster?.close();
  await embedded?.close();
});

/** What the container's processes have, without what the runtime sets. */
async function actual(name: string, container: string, wanted: Record<string, string>): Promise<Record<string, string>> {
  const { stdout, exitCode } = await cluster.exec({ namespace: NAMESPACE, name }, ["cat", "/proc/self/environ"], { container });
  expect(exitCode).toBe(0);
  const pairs = stdout
    .toString()
    .split("\0")
    .slice(0, -1)
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)] as const);
  const runtime = new Set(["PATH", "HOME", "HOSTNAME", "POD_IP", "SHIPSIDE_ROOT"]);
  return Object.fromEntries(pairs.filter(([key]) => !runtime.has(key) || key in wanted));
}

async function running(name: string): Promise<void> {
  await expect
    .poll(
      async () => {
        const { status } = await cluster.get(PODS, { namespace: NAMESPACE, name });
        const waiting = status?.containerStatuses?.map(
          ({ state }) => (state as { waiting?: { message?: string } })?.waiting?.message,
        );
        return [status?.phase, status?.containerStatuses?.every(({ ready }) => ready), waiting?.find(Boolean)];
      },
      { timeout: real ? 60_000 : 15_000, interval: real ? 500 : 50 },
    )
    .toEqual(["Running", true, undefined]);
}

describe("what is collected is what a container gets", { timeout: soak ? 30 * 60_000 : real ? 300_000 : 20_000 }, () => {
  it("for random pod specs", async () => {
    let number = 0;
    await fc.assert(
      fc.asyncProperty(spec, async (podSpec) => {
        const name = `random-${number++}`;
        const metadata = { labels: { app: "core" }, annotations: { "a/b": "c" } };
        await create("Pod", name, { spec: { ...podSpec, terminationGracePeriodSeconds: 0 } }, metadata);
        await running(name);
        await Promise.all(
          podSpec.containers.map(async (container) => {
            const { entries, warnings } = await collectEnv(cluster, {
              workload: `pod/${name}`,
              namespace: NAMESPACE,
              container: container.name,
            });
            const wanted = Object.fromEntries(entries.map((entry) => [entry.name, entry.value]));
            expect(warnings).toEqual([]);
            expect(wanted).toEqual(await actual(name, container.name, wanted));
          }),
        );
        await cluster.delete(PODS, { namespace: NAMESPACE, name }, { gracePeriodSeconds: 0 });
      }),
      { numRuns: soak ? 500 / CONTAINERS : 4, endOnFailure: true },
    );
  });

  it("for a deployment, from a running pod that is named", async () => {
    const fields = ["metadata.name", "metadata.uid", "status.podIP", "spec.nodeName", "metadata.labels['pod-template-hash']"];
    const own = fields.map((fieldPath, at) => ({ name: `F${at}`, valueFrom: { fieldRef: { fieldPath } } }));
    const limit = { name: "CPU", valueFrom: { resourceFieldRef: { resource: "limits.cpu" } } };
    const name = `core-${randomBytes(3).toString("hex")}`;
    const labels = { app: name };
    const podSpec = { containers: [{ name: "main", ...IDLE, env: [...own, limit] }], terminationGracePeriodSeconds: 0 };
    const template = { metadata: { labels }, spec: podSpec };
    await create("Deployment", name, { spec: { replicas: 2, selector: { matchLabels: labels }, template } });
    await expect
      .poll(
        async () =>
          (await cluster.list(PODS, { namespace: NAMESPACE, labelSelector: `app=${name}` })).filter(
            (pod) => pod.status?.phase === "Running",
          ).length,
        { timeout: real ? 60_000 : 15_000 },
      )
      .toBe(2);
    const { pod, entries, warnings } = await collectEnv(cluster, { workload: `deployment/${name}`, namespace: NAMESPACE });
    const wanted = Object.fromEntries(entries.map((entry) => [entry.name, entry.value]));
    expect(warnings).toEqual([]);
    expect(wanted["F0"]).toBe(pod?.name);
    expect(wanted).toEqual(await actual(pod?.name ?? "", "main", wanted));
  });
});
