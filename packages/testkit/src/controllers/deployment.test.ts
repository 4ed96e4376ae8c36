import { expect, test } from "vitest";
import type { KubeJson } from "../store.ts";
import { type FakeCluster, fakeCluster } from "./fake-cluster.ts";

const deployment = (name: string, replicas: number, spec: object = {}) => ({
  metadata: { name },
  spec: { replicas, selector: { matchLabels: { app: name } }, template: template(name, "one"), ...spec },
});
const template = (app: string, image: string) => ({
  metadata: { labels: { app } },
  spec: { containers: [{ name: "main", image }] },
});

const get = (cluster: FakeCluster, name: string): KubeJson => cluster.store.get("deployments.apps", "default", name)!;
const pods = (cluster: FakeCluster): KubeJson[] => cluster.store.list("pods", "default");
const sets = (cluster: FakeCluster): KubeJson[] => cluster.store.list("replicasets.apps", "default");
const reason = (object: KubeJson, type: string): string =>
  object["status"]?.conditions?.find((entry: { type: string }) => entry.type === type)?.reason;
const done = (cluster: FakeCluster, name: string): boolean => {
  const {
    status = {},
    spec,
    metadata,
  } = get(cluster, name) as KubeJson & { status: Record<string, number>; spec: { replicas: number } };
  return (
    status.observedGeneration === metadata.generation &&
    [status.replicas, status.updatedReplicas, status.availableReplicas].every((count) => (count ?? 0) === spec.replicas)
  );
};
const setImage = (cluster: FakeCluster, name: string, image: string): void =>
  void cluster.store.mutate("deployments.apps", "default", name, (copy) => {
    copy["spec"].template.spec.containers[0].image = image;
  });

test("a Deployment makes a ReplicaSet, which makes pods", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment("web", 3));
  await cluster.until(() => done(cluster, "web"));
  const [set] = sets(cluster);
  expect(set!.metadata.name).toMatch(/^web-[a-z0-9]{8,10}$/);
  const hash = set!.metadata.labels!["pod-template-hash"]!;
  expect(pods(cluster)).toHaveLength(3);
  for (const pod of pods(cluster)) {
    expect(pod.metadata.labels).toEqual({ app: "web", "pod-template-hash": hash });
    expect(pod.metadata.name).toMatch(new RegExp(`^${set!.metadata.name}-[a-z0-9]{5}$`));
    expect(pod["spec"].serviceAccountName).toBe("default");
  }
  const { status } = get(cluster, "web") as KubeJson & { status: object };
  expect(status).toMatchObject({ observedGeneration: 1, replicas: 3, updatedReplicas: 3, readyReplicas: 3, availableReplicas: 3 });
  expect(reason(get(cluster, "web"), "Progressing")).toBe("NewReplicaSetAvailable");
  expect(reason(get(cluster, "web"), "Available")).toBe("MinimumReplicasAvailable");
  expect(get(cluster, "web").metadata.annotations).toMatchObject({ "deployment.kubernetes.io/revision": "1" });
});

test("a lost pod is replaced; scaling goes both ways", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment("web", 2));
  await cluster.until(() => done(cluster, "web"));
  const [lost] = pods(cluster);
  cluster.store.remove("pods", "default", lost!.metadata.name);
  await cluster.until(() => pods(cluster).length === 2 && done(cluster, "web"));
  for (const replicas of [5, 1, 0, 2]) {
    cluster.store.mutate("deployments.apps", "default", "web", (copy) => {
      copy["spec"].replicas = replicas;
    });
    await cluster.until(() => done(cluster, "web") && pods(cluster).length === replicas);
  }
  expect(sets(cluster)).toHaveLength(1);
});

test("a rolling update never goes below the minimum nor above the maximum, and can be undone", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment("web", 4, { strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } } }));
  await cluster.until(() => done(cluster, "web"));
  const first = sets(cluster)[0]!.metadata.name;
  let fewest = 4;
  let most = 4;
  const stop = cluster.store.subscribe(({ resource }) => {
    if (resource !== "pods") return;
    const alive = pods(cluster).filter((pod) => !pod.metadata.deletionTimestamp);
    const ready = alive.filter((pod) =>
      pod["status"].conditions?.some((c: { type: string; status: string }) => c.type === "Ready" && c.status === "True"),
    );
    fewest = Math.min(fewest, ready.length);
    // Asked for, that is: a pod that has to go may outlive the beginning of the one that takes its place.
    most = Math.max(
      most,
      sets(cluster).reduce((sum, set) => sum + set["spec"].replicas, 0),
    );
  });
  setImage(cluster, "web", "two");
  await cluster.until(() => done(cluster, "web") && pods(cluster).every((pod) => pod["spec"].containers[0].image === "two"));
  stop();
  // How far it goes towards them depends on which pod is ready first.
  expect(fewest).toBeGreaterThanOrEqual(3);
  expect(most).toBe(5);
  expect(get(cluster, "web").metadata.annotations).toMatchObject({ "deployment.kubernetes.io/revision": "2" });

  setImage(cluster, "web", "one");
  await cluster.until(() => done(cluster, "web") && pods(cluster).every((pod) => pod["spec"].containers[0].image === "one"));
  expect(pods(cluster)[0]!.metadata.ownerReferences![0]!.name).toBe(first);
  expect(sets(cluster)).toHaveLength(2);
  expect(cluster.store.get("replicasets.apps", "default", first)!.metadata.annotations).toMatchObject({
    "deployment.kubernetes.io/revision": "3",
    "deployment.kubernetes.io/revision-history": "1",
  });
});

test("a rollout that can't get ready keeps the old pods, and says when its deadline is over", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment("web", 2, { progressDeadlineSeconds: 1 }));
  await cluster.until(() => done(cluster, "web"));
  cluster.pods.ready = (pod) => pod["spec"].containers[0].image === "one";
  setImage(cluster, "web", "bad");
  await cluster.until(() => reason(get(cluster, "web"), "Progressing") === "ProgressDeadlineExceeded");
  expect(pods(cluster).filter((pod) => pod["spec"].containers[0].image === "one")).toHaveLength(2);
  expect(pods(cluster).filter((pod) => pod["spec"].containers[0].image === "bad")).toHaveLength(1);
});

test("Recreate waits until the last old pod is gone", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment("web", 2, { strategy: { type: "Recreate" } }));
  await cluster.until(() => done(cluster, "web"));
  cluster.pods.linger = true;
  setImage(cluster, "web", "two");
  await cluster.until(() => pods(cluster).every((pod) => pod.metadata.deletionTimestamp));
  expect(pods(cluster).map((pod) => pod["spec"].containers[0].image)).toEqual(["one", "one"]);
  cluster.pods.linger = false;
  cluster.refresh();
  await cluster.until(() => done(cluster, "web") && pods(cluster).length === 2);
  expect(pods(cluster).map((pod) => pod["spec"].containers[0].image)).toEqual(["two", "two"]);
});

test("a paused Deployment is scaled but not rolled out", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment("web", 1));
  await cluster.until(() => done(cluster, "web"));
  cluster.store.mutate("deployments.apps", "default", "web", (copy) => {
    copy["spec"].paused = true;
    copy["spec"].replicas = 3;
    copy["spec"].template.spec.containers[0].image = "two";
  });
  await cluster.until(() => pods(cluster).length === 3);
  expect(reason(get(cluster, "web"), "Progressing")).toBe("DeploymentPaused");
  expect(sets(cluster)).toHaveLength(1);
  cluster.store.mutate("deployments.apps", "default", "web", (copy) => {
    delete copy["spec"].paused;
  });
  await cluster.until(() => done(cluster, "web") && pods(cluster).every((pod) => pod["spec"].containers[0].image === "two"));
});

test("old revisions beyond the limit go", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("deployments.apps", deployment("web", 1, { revisionHistoryLimit: 1 }));
  for (const image of ["two", "three", "four"]) {
    await cluster.until(() => done(cluster, "web"));
    setImage(cluster, "web", image);
  }
  await cluster.until(() => done(cluster, "web") && sets(cluster).length === 2);
  expect(
    sets(cluster)
      .map((set) => set["spec"].template.spec.containers[0].image)
      .sort(),
  ).toEqual(["four", "three"]);
});

test("pods that match are adopted, pods that no longer do are released", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("pods", { metadata: { name: "stray", labels: { app: "web" } }, spec: template("web", "one").spec });
  cluster.apply("replicasets.apps", deployment("web", 1));
  await cluster.until(() => cluster.store.get("pods", "default", "stray")!.metadata.ownerReferences?.[0]?.name === "web");
  expect(pods(cluster)).toHaveLength(1);
  cluster.store.mutate("pods", "default", "stray", (copy) => {
    copy.metadata.labels = { app: "other" };
  });
  await cluster.until(() => pods(cluster).length === 2);
  expect(cluster.store.get("pods", "default", "stray")!.metadata.ownerReferences ?? []).toEqual([]);
});
