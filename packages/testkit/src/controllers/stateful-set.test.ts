import { expect, test } from "vitest";
import type { KubeJson } from "../store.ts";
import { type FakeCluster, fakeCluster } from "./fake-cluster.ts";

const statefulSet = (replicas: number, spec: object = {}) => ({
  metadata: { name: "db" },
  spec: {
    replicas,
    serviceName: "db",
    selector: { matchLabels: { app: "db" } },
    template: { metadata: { labels: { app: "db" } }, spec: { containers: [{ name: "main", image: "one" }] } },
    ...spec,
  },
});
const get = (cluster: FakeCluster): KubeJson => cluster.store.get("statefulsets.apps", "default", "db")!;
const pods = (cluster: FakeCluster): KubeJson[] => cluster.store.list("pods", "default");
const names = (cluster: FakeCluster): string[] => pods(cluster).map(({ metadata }) => metadata.name);
const images = (cluster: FakeCluster): string[] => pods(cluster).map((pod) => pod["spec"].containers[0].image);
const settled = (cluster: FakeCluster, replicas: number): boolean => {
  const { status = {}, metadata } = get(cluster) as KubeJson & { status: Record<string, unknown> };
  return (
    status["observedGeneration"] === metadata.generation &&
    status["replicas"] === replicas &&
    (status["readyReplicas"] ?? 0) === replicas
  );
};
const change = (cluster: FakeCluster, edit: (spec: KubeJson["spec"]) => void): void =>
  void cluster.store.mutate("statefulsets.apps", "default", "db", (copy) => edit(copy["spec"]));
const setImage = (cluster: FakeCluster, image: string): void =>
  change(cluster, (spec) => {
    spec.template.spec.containers[0].image = image;
  });

test("pods come one after the other, with names, host names and claims of their own", async () => {
  await using cluster = await fakeCluster();
  const order: string[] = [];
  cluster.store.subscribe(({ type, resource, object }) => {
    if (resource === "pods" && type === "ADDED") {
      // The one before is ready by then.
      expect(
        pods(cluster).filter((pod) => pod["status"].conditions?.some((c: { type: string }) => c.type === "Ready")),
      ).toHaveLength(order.length);
      order.push(object.metadata.name);
    }
  });
  const claim = {
    metadata: { name: "data" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
  cluster.apply("statefulsets.apps", statefulSet(3, { volumeClaimTemplates: [claim] }));
  await cluster.until(() => settled(cluster, 3));
  expect(order).toEqual(["db-0", "db-1", "db-2"]);
  const pod = cluster.store.get("pods", "default", "db-1")!;
  expect(pod["spec"]).toMatchObject({ hostname: "db-1", subdomain: "db" });
  expect(pod["spec"].volumes).toContainEqual({ name: "data", persistentVolumeClaim: { claimName: "data-db-1" } });
  expect(pod.metadata.labels).toMatchObject({
    "apps.kubernetes.io/pod-index": "1",
    "statefulset.kubernetes.io/pod-name": "db-1",
    "controller-revision-hash": get(cluster)["status"].currentRevision,
  });
  expect(cluster.store.list("persistentvolumeclaims").map(({ metadata }) => metadata.name)).toEqual([
    "data-db-0",
    "data-db-1",
    "data-db-2",
  ]);

  cluster.store.remove("pods", "default", "db-1");
  await cluster.until(() => cluster.store.get("pods", "default", "db-1") !== undefined && settled(cluster, 3));
});

test("an unready pod holds the next one up; Parallel doesn't wait", async () => {
  await using cluster = await fakeCluster();
  cluster.pods.ready = () => false;
  cluster.apply("statefulsets.apps", statefulSet(2));
  await cluster.until(() => get(cluster)["status"]?.replicas === 1);
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(names(cluster)).toEqual(["db-0"]);
  cluster.apply("statefulsets.apps", { ...statefulSet(3, { podManagementPolicy: "Parallel" }), metadata: { name: "par" } });
  await cluster.until(() => names(cluster).filter((name) => name.startsWith("par-")).length === 3);
});

test("scaling down takes the highest first and waits for its end", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("statefulsets.apps", statefulSet(3));
  await cluster.until(() => settled(cluster, 3));
  cluster.pods.linger = true;
  change(cluster, (spec) => {
    spec.replicas = 1;
  });
  await cluster.until(() => pods(cluster).some((pod) => pod.metadata.deletionTimestamp));
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(
    pods(cluster)
      .filter((pod) => pod.metadata.deletionTimestamp)
      .map(({ metadata }) => metadata.name),
  ).toEqual(["db-2"]);
  cluster.pods.linger = false;
  cluster.refresh();
  await cluster.until(() => settled(cluster, 1));
  expect(names(cluster)).toEqual(["db-0"]);
});

test("a rolling update goes from the highest down, to the partition", async () => {
  await using cluster = await fakeCluster();
  cluster.apply(
    "statefulsets.apps",
    statefulSet(3, { updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 1 } } }),
  );
  await cluster.until(() => settled(cluster, 3));
  const first = get(cluster)["status"].currentRevision;
  const order: string[] = [];
  const stop = cluster.store.subscribe(({ type, resource, object }) => {
    if (resource === "pods" && type === "DELETED") order.push(object.metadata.name);
  });
  setImage(cluster, "two");
  await cluster.until(() => get(cluster)["status"].updatedReplicas === 2 && settled(cluster, 3));
  expect(order).toEqual(["db-2", "db-1"]);
  expect(images(cluster)).toEqual(["one", "two", "two"]);
  expect(get(cluster)["status"]).toMatchObject({ currentRevision: first, currentReplicas: 1 });
  // A pod below the partition comes back as it was.
  cluster.store.remove("pods", "default", "db-0");
  await cluster.until(() => settled(cluster, 3) && cluster.store.get("pods", "default", "db-0") !== undefined);
  expect(images(cluster)).toEqual(["one", "two", "two"]);
  stop();
  change(cluster, (spec) => {
    spec.updateStrategy.rollingUpdate.partition = 0;
  });
  await cluster.until(() => images(cluster).every((image) => image === "two") && settled(cluster, 3));
  await cluster.until(() => get(cluster)["status"].currentRevision === get(cluster)["status"].updateRevision);

  setImage(cluster, "one");
  await cluster.until(() => images(cluster).every((image) => image === "one") && settled(cluster, 3));
  expect(get(cluster)["status"].updateRevision).toBe(first);
  const revisions = cluster.store.list("controllerrevisions.apps").map((revision) => revision["revision"]);
  expect(revisions.sort()).toEqual([2, 3]);
});
