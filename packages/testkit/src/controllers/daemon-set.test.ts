import { expect, test } from "vitest";
import { fakeCluster } from "./fake-cluster.ts";

test("a DaemonSet has a pod on each node that fits, and replaces them one by one", async () => {
  await using cluster = await fakeCluster();
  cluster.apply("nodes", { metadata: { name: "node-2", labels: { disk: "ssd" } } });
  cluster.apply("daemonsets.apps", {
    metadata: { name: "agent" },
    spec: {
      selector: { matchLabels: { app: "agent" } },
      template: { metadata: { labels: { app: "agent" } }, spec: { containers: [{ name: "main", image: "one" }] } },
    },
  });
  const get = () => cluster.store.get("daemonsets.apps", "default", "agent")!;
  const pods = () => cluster.store.list("pods", "default");
  const done = () => {
    const { status = {}, metadata } = get() as { status?: Record<string, number>; metadata: { generation?: number } };
    return (
      status["observedGeneration"] === metadata.generation &&
      [status["numberAvailable"], status["updatedNumberScheduled"]].every((n) => n === status["desiredNumberScheduled"])
    );
  };
  await cluster.until(() => done() && pods().length === 2);
  expect(
    pods()
      .map((pod) => pod["spec"].nodeName)
      .sort(),
  ).toEqual(["node-1", "node-2"]);
  let fewest = 2;
  const stop = cluster.store.subscribe(
    () => (fewest = Math.min(fewest, pods().filter((pod) => !pod.metadata.deletionTimestamp).length)),
  );
  cluster.store.mutate("daemonsets.apps", "default", "agent", (copy) => {
    copy["spec"].template.spec.containers[0].image = "two";
  });
  await cluster.until(() => done() && pods().every((pod) => pod["spec"].containers[0].image === "two"));
  stop();
  expect(fewest).toBe(1);

  cluster.store.mutate("daemonsets.apps", "default", "agent", (copy) => {
    copy["spec"].template.spec.nodeSelector = { disk: "ssd" };
  });
  await cluster.until(() => done() && pods().length === 1);
  expect(pods()[0]!["spec"].nodeName).toBe("node-2");
  cluster.apply("nodes", { metadata: { name: "node-3", labels: { disk: "ssd" } } });
  await cluster.until(() => pods().length === 2);
});
