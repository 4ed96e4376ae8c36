import { expect, test } from "vitest";
import type { KubeJson } from "../store.ts";
import { type FakeCluster, fakeCluster } from "./fake-cluster.ts";

const deployment = {
  metadata: { name: "web" },
  spec: {
    replicas: 2,
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "main", image: "x" }] } },
  },
};
const pods = (cluster: FakeCluster): KubeJson[] => cluster.store.list("pods", "default");
const sets = (cluster: FakeCluster): KubeJson[] => cluster.store.list("replicasets.apps", "default");
const remove = (cluster: FakeCluster, plural: string, name: string, propagationPolicy?: string, group = "apps"): void =>
  void cluster.registry.delete(
    cluster.registry.find(group, "v1", plural)!,
    "default",
    name,
    propagationPolicy ? { propagationPolicy } : {},
  );

async function withDeployment(): Promise<FakeCluster> {
  const cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment);
  await cluster.until(() => cluster.store.get("deployments.apps", "default", "web")?.["status"]?.availableReplicas === 2);
  return cluster;
}

test("background: the owner goes first, what it owned after it", async () => {
  await using cluster = await withDeployment();
  remove(cluster, "deployments", "web", "Background");
  expect(cluster.store.get("deployments.apps", "default", "web")).toBeUndefined();
  expect(sets(cluster)).toHaveLength(1);
  await cluster.until(() => sets(cluster).length === 0 && pods(cluster).length === 0);
});

test("foreground: the owner waits for the last of them", async () => {
  await using cluster = await withDeployment();
  cluster.pods.linger = true;
  remove(cluster, "deployments", "web", "Foreground");
  await cluster.until(() => pods(cluster).every((pod) => pod.metadata.deletionTimestamp));
  expect(cluster.store.get("deployments.apps", "default", "web")!.metadata.finalizers).toEqual(["foregroundDeletion"]);
  expect(sets(cluster)).toHaveLength(1);
  cluster.pods.linger = false;
  cluster.refresh();
  await cluster.until(() => cluster.store.get("deployments.apps", "default", "web") === undefined);
  expect(sets(cluster).length + pods(cluster).length).toBe(0);
});

test("orphan: what it owned stays, without an owner", async () => {
  await using cluster = await withDeployment();
  remove(cluster, "deployments", "web", "Orphan");
  await cluster.until(() => cluster.store.get("deployments.apps", "default", "web") === undefined);
  expect(sets(cluster)[0]!.metadata).not.toHaveProperty("ownerReferences");
  expect(pods(cluster)).toHaveLength(2);
  // Who comes with the same selector takes them over.
  cluster.apply("deployments.apps", deployment);
  await cluster.until(() => sets(cluster)[0]!.metadata.ownerReferences?.[0]?.kind === "Deployment");
});

test("an object of several owners goes with the last", async () => {
  await using cluster = await fakeCluster();
  const owner = (name: string) => {
    const { apiVersion, kind, metadata } = cluster.apply("configmaps", { metadata: { name } });
    return { apiVersion, kind, name, uid: metadata.uid };
  };
  const [a, b] = [owner("a"), owner("b")];
  cluster.apply("configmaps", { metadata: { name: "shared", ownerReferences: [a, b] } });
  const shared = () => cluster.store.get("configmaps", "default", "shared");
  remove(cluster, "configmaps", "a", undefined, "");
  await cluster.until(() => shared()?.metadata.ownerReferences?.length === 1);
  remove(cluster, "configmaps", "b", undefined, "");
  await cluster.until(() => shared() === undefined);
});

test("an owner that isn't there means deletion", async () => {
  await using cluster = await fakeCluster();
  const ownerReferences = [{ apiVersion: "v1", kind: "ConfigMap", name: "none", uid: "00000000-0000-0000-0000-000000000000" }];
  cluster.apply("configmaps", { metadata: { name: "lost", ownerReferences } });
  await cluster.until(() => cluster.store.get("configmaps", "default", "lost") === undefined);
});

test("a namespace goes when it's empty, and tells what it waits for", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("namespaces", { metadata: { name: "team" } });
  const inTeam = (resource: string): KubeJson[] => cluster.store.list(resource, "team");
  cluster.apply("deployments.apps", deployment, "team");
  cluster.apply("services", { metadata: { name: "web" }, spec: { selector: { app: "web" }, ports: [{ port: 80 }] } }, "team");
  cluster.apply("configmaps", { metadata: { name: "stuck", finalizers: ["example.com/wait"] } }, "team");
  await cluster.until(() => inTeam("pods").length === 2 && inTeam("endpointslices.discovery.k8s.io").length === 1);
  const namespace = () => cluster.store.get("namespaces", undefined, "team");
  cluster.registry.delete(cluster.registry.find("", "v1", "namespaces")!, "", "team");
  await cluster.until(
    () => inTeam("pods").length + inTeam("services").length + inTeam("deployments.apps").length + inTeam("endpoints").length === 0,
  );
  await cluster.until(() => inTeam("serviceaccounts").length + inTeam("endpointslices.discovery.k8s.io").length === 0);
  await cluster.until(() =>
    namespace()!["status"].conditions?.some((c: { message: string }) =>
      c.message.endsWith("example.com/wait in 1 resource instances"),
    ),
  );
  expect(namespace()!["status"].phase).toBe("Terminating");
  cluster.store.mutate("configmaps", "team", "stuck", ({ metadata }) => {
    delete metadata.finalizers;
  });
  await cluster.until(() => namespace() === undefined);
});
