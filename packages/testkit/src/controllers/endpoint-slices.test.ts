import { expect, test } from "vitest";
import type { KubeJson } from "../store.ts";
import { type FakeCluster, fakeCluster } from "./fake-cluster.ts";

const service = (name: string, spec: object) => ({ metadata: { name }, spec: { selector: { app: name }, ...spec } });
const pod = (name: string, app: string, spec: object = {}) => ({
  metadata: { name, labels: { app } },
  spec: { containers: [{ name: "main", image: "x" }], ...spec },
});
const slices = (cluster: FakeCluster, name: string): KubeJson[] =>
  cluster.store
    .list("endpointslices.discovery.k8s.io", "default")
    .filter(({ metadata }) => metadata.labels!["kubernetes.io/service-name"] === name);
const endpoints = (cluster: FakeCluster, name: string) => slices(cluster, name).flatMap((slice) => slice["endpoints"] ?? []);
const ready = (cluster: FakeCluster, name: string): string[] =>
  endpoints(cluster, name)
    .filter(({ conditions }) => conditions.ready)
    .map(({ targetRef }) => targetRef.name)
    .sort();

test("a service's slice follows its pods: ready, serving, terminating", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("services", service("web", { ports: [{ port: 80, targetPort: 8080 }] }));
  await cluster.until(() => slices(cluster, "web").length === 1);
  expect(slices(cluster, "web")[0]).toMatchObject({ addressType: "IPv4", endpoints: null, ports: null });
  cluster.pods.ready = ({ metadata }) => metadata.name !== "b";
  cluster.apply("pods", pod("a", "web"));
  cluster.apply("pods", pod("b", "web"));
  await cluster.until(() => endpoints(cluster, "web").length === 2 && ready(cluster, "web").length === 1);
  const [slice] = slices(cluster, "web");
  expect(slice!["ports"]).toEqual([{ name: "", port: 8080, protocol: "TCP" }]);
  expect(slice!.metadata).toMatchObject({
    labels: { "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io", "kubernetes.io/service-name": "web" },
    ownerReferences: [{ apiVersion: "v1", kind: "Service", name: "web", controller: true, blockOwnerDeletion: true }],
  });
  const byName = (name: string) => endpoints(cluster, "web").find(({ targetRef }) => targetRef.name === name);
  expect(byName("a").conditions).toEqual({ ready: true, serving: true, terminating: false });
  expect(byName("b").conditions).toEqual({ ready: false, serving: false, terminating: false });
  expect(byName("a")).toMatchObject({ nodeName: "node-1", targetRef: { kind: "Pod", namespace: "default", name: "a" } });

  cluster.pods.linger = true;
  cluster.registry.delete(cluster.registry.find("", "v1", "pods")!, "default", "a");
  await cluster.until(() => byName("a").conditions.terminating);
  expect(byName("a").conditions).toEqual({ ready: false, serving: true, terminating: true });
  cluster.pods.linger = false;
  cluster.refresh();
  await cluster.until(() => endpoints(cluster, "web").length === 1);

  cluster.store.mutate("pods", "default", "b", (copy) => {
    copy.metadata.labels = { app: "other" };
  });
  await cluster.until(() => slices(cluster, "web")[0]?.["endpoints"] === null);
  expect(slices(cluster, "web")).toHaveLength(1);
});

test("named ports are resolved pod by pod", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("services", service("web", { ports: [{ name: "http", port: 80, targetPort: "web" }] }));
  for (const [name, containerPort] of [
    ["a", 8080],
    ["b", 9090],
    ["c", 8080],
  ] as const) {
    cluster.apply(
      "pods",
      pod(name, "web", { containers: [{ name: "main", image: "x", ports: [{ name: "web", containerPort }] }] }),
    );
  }
  await cluster.until(() => ready(cluster, "web").length === 3);
  const shape = slices(cluster, "web").map((slice) => [slice["ports"][0].port, slice["endpoints"].length]);
  expect(shape.sort()).toEqual([
    [8080, 2],
    [9090, 1],
  ]);
});

test("headless, per-pod names, publishNotReadyAddresses, several ports", async () => {
  await using cluster = await fakeCluster();
  cluster.pods.ready = () => false;
  const ports = [
    { name: "a", port: 1 },
    { name: "b", port: 2, protocol: "UDP", appProtocol: "x" },
  ];
  cluster.apply("services", service("db", { clusterIP: "None", publishNotReadyAddresses: true, ports }));
  cluster.apply("pods", pod("db-0", "db", { hostname: "db-0", subdomain: "db" }));
  cluster.apply("pods", pod("db-1", "db", { hostname: "db-1", subdomain: "elsewhere" }));
  await cluster.until(() => ready(cluster, "db").length === 2);
  const [slice] = slices(cluster, "db");
  expect(slice!.metadata.labels).toHaveProperty("service.kubernetes.io/headless", "");
  const hostnames = slice!["endpoints"].map(({ hostname }: { hostname?: string }) => hostname);
  expect(hostnames.sort()).toEqual(["db-0", undefined]);
  expect(slice!["endpoints"][0].conditions).toEqual({ ready: true, serving: false, terminating: false });
  expect(slice!["ports"]).toEqual([
    { name: "a", port: 1, protocol: "TCP" },
    { name: "b", port: 2, protocol: "UDP", appProtocol: "x" },
  ]);
});

test("what has no selector, or is an ExternalName, is left alone", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("services", { metadata: { name: "manual" }, spec: { ports: [{ port: 80 }] } });
  cluster.apply("services", {
    metadata: { name: "outside" },
    spec: { type: "ExternalName", externalName: "example.com", selector: { app: "x" } },
  });
  cluster.apply("services", service("last", { ports: [{ port: 80 }] }));
  await cluster.until(() => slices(cluster, "last").length === 1);
  expect(cluster.store.list("endpointslices.discovery.k8s.io")).toHaveLength(1);
  expect(cluster.store.list("endpoints").map(({ metadata }) => metadata.name)).toEqual(["last"]);
});

test("at most a hundred endpoints a slice, and those that stay stay where they are", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("services", service("web", { ports: [{ port: 80 }] }));
  for (let i = 0; i < 250; i++) cluster.apply("pods", pod(`p${i}`, "web"));
  await cluster.until(() => ready(cluster, "web").length === 250);
  const home = new Map(
    slices(cluster, "web").flatMap((slice) =>
      slice["endpoints"].map((e: { targetRef: { name: string } }) => [e.targetRef.name, slice.metadata.name]),
    ),
  );
  expect(slices(cluster, "web").every((slice) => slice["endpoints"].length <= 100)).toBe(true);
  for (let i = 0; i < 250; i += 5) cluster.store.remove("pods", "default", `p${i}`);
  await cluster.until(() => ready(cluster, "web").length === 200);
  for (const slice of slices(cluster, "web"))
    for (const { targetRef } of slice["endpoints"]) expect(slice.metadata.name).toBe(home.get(targetRef.name));
});

test("Endpoints, the older form", async () => {
  await using cluster = await fakeCluster();
  cluster.pods.ready = ({ metadata }) => metadata.name !== "b";
  cluster.apply("services", service("web", { ports: [{ name: "http", port: 80, targetPort: 8080 }] }));
  cluster.apply("pods", pod("a", "web"));
  cluster.apply("pods", pod("b", "web"));
  const subsets = () => cluster.store.get("endpoints", "default", "web")?.["subsets"];
  await cluster.until(() => subsets()?.[0].notReadyAddresses && subsets()?.[0].addresses);
  expect(subsets()).toMatchObject([
    {
      addresses: [{ nodeName: "node-1", targetRef: { name: "a" } }],
      notReadyAddresses: [{ targetRef: { name: "b" } }],
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
    },
  ]);
  cluster.store.remove("services", "default", "web");
  await cluster.until(() => cluster.store.get("endpoints", "default", "web") === undefined);
});

test("300 services of 3 pods each are settled fast", async () => {
  await using cluster = await fakeCluster();
  const start = process.cpuUsage();
  for (let i = 0; i < 300; i++) {
    cluster.apply("services", service(`s${i}`, { ports: [{ port: 80 }] }));
    cluster.apply("deployments.apps", {
      metadata: { name: `s${i}` },
      spec: { replicas: 3, selector: { matchLabels: { app: `s${i}` } }, template: pod("", `s${i}`) },
    });
  }
  const full = new Set<string>();
  cluster.store.subscribe(({ resource, object }) => {
    if (resource !== "endpointslices.discovery.k8s.io") return;
    const ready = (object["endpoints"] ?? []).filter((e: { conditions: { ready: boolean } }) => e.conditions.ready);
    if (ready.length === 3) full.add(object.metadata.name);
  });
  await cluster.until(() => full.size === 300);
  const { user, system } = process.cpuUsage(start);
  const took = (user + system) / 1000;
  console.info(`300 services, 300 deployments, 900 pods settled with ${Math.round(took)} ms of CPU`);
  expect(took).toBeLessThan(5000);
});
