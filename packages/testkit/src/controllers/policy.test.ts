import { expect, test } from "vitest";
import { checkEviction } from "../api/subresources/pods.ts";
import type { Json } from "../json.ts";
import { type FakeCluster, fakeCluster } from "./fake-cluster.ts";
import { isReady } from "./pods.ts";

const template = { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "node:24" }] } };
const status = (cluster: FakeCluster, resource: string, name: string): Json =>
  cluster.store.get(resource, "default", name)?.["status"];
const deploy = (cluster: FakeCluster, replicas: number): unknown =>
  cluster.apply("deployments.apps", {
    metadata: { name: "web" },
    spec: { replicas, selector: { matchLabels: { app: "web" } }, template },
  });

test.each([
  [{ maxUnavailable: 1 }, { expectedPods: 3, desiredHealthy: 2, currentHealthy: 3, disruptionsAllowed: 1 }],
  [{ maxUnavailable: "34%" }, { expectedPods: 3, desiredHealthy: 1, currentHealthy: 3, disruptionsAllowed: 2 }],
  [{ minAvailable: 3 }, { expectedPods: 3, desiredHealthy: 3, currentHealthy: 3, disruptionsAllowed: 0 }],
  [{ minAvailable: "50%" }, { expectedPods: 3, desiredHealthy: 2, currentHealthy: 3, disruptionsAllowed: 1 }],
])("a budget of %j", async (spec, expected) => {
  await using cluster = await fakeCluster();
  deploy(cluster, 3);
  cluster.apply("poddisruptionbudgets.policy", {
    metadata: { name: "b" },
    spec: { ...spec, selector: { matchLabels: { app: "web" } } },
  });
  await cluster.until(() => status(cluster, "poddisruptionbudgets.policy", "b")?.currentHealthy === 3);
  expect(status(cluster, "poddisruptionbudgets.policy", "b")).toMatchObject(expected);
});

test("one eviction uses up a budget of one, until another pod is ready in its place", async () => {
  await using cluster = await fakeCluster();
  deploy(cluster, 2);
  const selector = { matchLabels: { app: "web" } };
  cluster.apply("poddisruptionbudgets.policy", { metadata: { name: "b" }, spec: { maxUnavailable: 1, selector } });
  const allowed = (): number => status(cluster, "poddisruptionbudgets.policy", "b")?.disruptionsAllowed;
  await cluster.until(() => allowed() === 1);
  const [one, two] = cluster.store.list("pods").filter(isReady);
  checkEviction(cluster.store, one!, true);
  checkEviction(cluster.store, one!, false);
  expect(() => checkEviction(cluster.store, two!, false)).toThrow(
    "Cannot evict pod as it would violate the pod's disruption budget.",
  );
  cluster.store.remove("pods", "default", one!.metadata.name);
  await cluster.until(() => allowed() === 1);
  checkEviction(cluster.store, two!, false);
});

test("a quota says what is used; a ReplicaSet that it stops says so, and goes on when there is room", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("resourcequotas", { metadata: { name: "q" }, spec: { hard: { pods: "1", "requests.cpu": "1" } } });
  const quick = structuredClone(template) as Json;
  quick.spec.containers[0].resources = { requests: { cpu: "100m" } };
  cluster.apply("deployments.apps", {
    metadata: { name: "web" },
    spec: { replicas: 2, selector: { matchLabels: { app: "web" } }, template: quick },
  });
  const condition = (): Json =>
    status(cluster, "deployments.apps", "web")?.conditions?.find((c: Json) => c.type === "ReplicaFailure");
  await cluster.until(() => condition()?.status === "True" && status(cluster, "resourcequotas", "q")?.used?.pods === "1");
  expect(status(cluster, "resourcequotas", "q")).toEqual({
    hard: { pods: "1", "requests.cpu": "1" },
    used: { pods: "1", "requests.cpu": "100m" },
  });
  expect(condition().message).toMatch(/is forbidden: exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1$/);
  cluster.store.mutate("resourcequotas", "default", "q", (copy) => (copy["spec"].hard.pods = "2"));
  await cluster.until(() => status(cluster, "deployments.apps", "web")?.readyReplicas === 2 && condition() === undefined);
});

test("what controllers write is theirs in managedFields, and server-side apply conflicts with it", async () => {
  await using cluster = await fakeCluster();
  deploy(cluster, 1);
  await cluster.until(() => status(cluster, "deployments.apps", "web")?.readyReplicas === 1);
  const managers = (resource: string, name: string): string[] =>
    (cluster.store.get(resource, "default", name)!.metadata.managedFields as Json[]).map(
      ({ manager, operation, subresource }) => `${manager} ${operation} ${subresource ?? "-"}`,
    );
  const pod = cluster.store.list("pods")[0]!;
  expect(managers("pods", pod.metadata.name)).toEqual(["kube-controller-manager Update -"]);
  expect(managers("replicasets.apps", cluster.store.list("replicasets.apps")[0]!.metadata.name)).toEqual([
    "kube-controller-manager Update -",
    "kube-controller-manager Update status",
  ]);
  const deployments = cluster.registry.find("apps", "v1", "deployments")!;
  const mine = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", annotations: { "deployment.kubernetes.io/revision": "7" } },
  };
  expect(() => cluster.registry.apply(deployments, "default", "web", mine, "", false, { manager: "me" })).toThrow(
    'Apply failed with 1 conflict: conflict with "kube-controller-manager" using apps/v1',
  );
});
