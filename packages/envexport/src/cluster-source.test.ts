import { connectCluster, PODS } from "@shipside/kube";
import { envSourceContract, startCluster } from "@shipside/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clusterSource } from "./cluster-source.ts";
import { collectEnv } from "./collect.ts";

const namespace = "source";
const SECRETS = ["pa55word-one", "l1cense-key"];
const object = (kind: string, name: string, fields: object) => ({
  apiVersion: "v1",
  kind,
  metadata: { name, namespace },
  ...fields,
});
const container = {
  name: "main",
  image: "pause",
  envFrom: [{ configMapRef: { name: "conf" } }],
  env: [
    { name: "DB_PASSWORD", valueFrom: { secretKeyRef: { name: "keys", key: "db" } } },
    { name: "URL", value: "db://user:$(DB_PASSWORD)@db" },
    { name: "LICENSE", valueFrom: { secretKeyRef: { name: "keys", key: "license" } } },
  ],
};
const expected = { MODE: "test", DB_PASSWORD: "pa55word-one", URL: "db://user:pa55word-one@db" };

let embedded: Awaited<ReturnType<typeof startCluster>>;
beforeAll(async () => {
  embedded = await startCluster();
  await embedded.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    object("ConfigMap", "conf", { data: { MODE: "test" } }),
    object("Secret", "keys", { stringData: { db: "pa55word-one", license: "l1cense-key" } }),
    object("Pod", "core", { spec: { containers: [container], terminationGracePeriodSeconds: 0 } }),
    // Has what is secret, and needs what isn't there. Nobody runs it.
    object("Pod", "broken", {
      spec: { containers: [{ ...container, envFrom: [{ configMapRef: { name: "none" } }] }], nodeName: "elsewhere" },
    }),
  ]);
  await using cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  for (const until = Date.now() + 15_000; ; await new Promise((resolve) => setTimeout(resolve, 50))) {
    const { status } = await cluster.get(PODS, { namespace, name: "core" });
    if (status?.containerStatuses?.every(({ ready }) => ready)) break;
    if (Date.now() > until) throw new Error("the pod doesn't run");
  }
});
afterAll(() => embedded?.close());

for (const from of ["spec", "running"] as const) {
  describe(`a cluster as a source, from ${from}`, () => {
    const cases = envSourceContract({
      async open() {
        const cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
        return {
          source: clusterSource(cluster, { from }),
          request: { namespace, workload: "pod/core" },
          expected,
          secrets: SECRETS,
          broken: async () => ({ namespace, workload: "pod/broken" }),
          [Symbol.asyncDispose]: () => cluster.close(),
        };
      },
    });
    for (const { name, run } of cases) it(name, run);
  });
}

it("is put over another env, with the origins that it knows", async () => {
  await using cluster = await connectCluster({ kubeconfig: embedded.kubeconfigPath });
  const other = clusterSource(cluster, { select: { only: ["MODE"] } });
  await embedded.apply([
    object("Pod", "other", {
      spec: { containers: [{ name: "main", image: "pause", env: [{ name: "MODE", value: "own" }] }], nodeName: "elsewhere" },
    }),
  ]);
  const source = {
    ...other,
    collect: (request: Parameters<typeof other.collect>[0], components: Parameters<typeof other.collect>[1]) =>
      other.collect({ ...request, workload: "pod/core" }, components),
  };
  const { entries } = await collectEnv(cluster, { workload: "pod/other", namespace, sources: [source] });
  expect(entries.find(({ name }) => name === "MODE")).toMatchObject({ value: "test", origin: { from: "configMap" } });
});
