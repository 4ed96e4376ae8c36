import { startCluster } from "@shipside/testkit";
import { expect, test } from "vitest";
import { suggestNamespaces, suggestServices, suggestWorkloads } from "./suggest.ts";

test("names for a shell: services and workloads of the namespace, not what a workload has made", async () => {
  await using cluster = await startCluster({ node: false, controllers: false });
  const labels = { app: "core" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "main", image: "node" }] } };
  const selecting = { replicas: 1, selector: { matchLabels: labels }, template };
  const [, , deployment] = await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "shop" } },
    { apiVersion: "v1", kind: "Service", metadata: { name: "core", namespace: "shop" }, spec: { ports: [{ port: 80 }] } },
    { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "core", namespace: "shop" }, spec: selecting },
  ]);
  const owner = { apiVersion: "apps/v1", kind: "Deployment", name: "core", uid: deployment!.metadata.uid, controller: true };
  const metadata = { name: "core-1", namespace: "shop", ownerReferences: [owner] };
  await cluster.apply([{ apiVersion: "apps/v1", kind: "ReplicaSet", metadata, spec: selecting }]);
  const where = { kubeconfig: cluster.kubeconfigPath, namespace: "shop" };
  expect(await suggestServices(where)).toEqual(["service/core"]);
  expect(await suggestWorkloads(where)).toEqual(["deployment/core"]);
  expect(await suggestNamespaces(where)).toContain("shop");
});

test("a server that takes connections and answers nothing is given up", { timeout: 15_000 }, async () => {
  await using cluster = await startCluster({ node: false, controllers: false });
  cluster.faults.freeze("all");
  await expect(suggestServices({ kubeconfig: cluster.kubeconfigPath })).rejects.toThrow();
});
