import { expect, test } from "vitest";
import type { Json } from "../json.ts";
import { fakeCluster } from "./fake-cluster.ts";

const pod = (name: string, tolerations: Json[] = []): object => ({
  metadata: { name },
  spec: { nodeName: "node-1", tolerations, containers: [{ name: "main", image: "node:24" }] },
});

test("a NoExecute taint drives out what doesn't tolerate it: at once, after its time, or never", async () => {
  await using cluster = await fakeCluster();
  const toleration = { key: "broken", operator: "Exists", effect: "NoExecute" };
  cluster.apply("pods", pod("plain"));
  cluster.apply("pods", pod("for-a-second", [{ ...toleration, tolerationSeconds: 1 }]));
  cluster.apply("pods", pod("for-ever", [toleration]));
  cluster.apply("pods", pod("other-value", [{ key: "broken", value: "no", effect: "NoExecute" }]));
  const names = (): string[] => cluster.store.list("pods").map(({ metadata }) => metadata.name);
  const taint = (effect: string): unknown =>
    cluster.store.mutate("nodes", undefined, "node-1", (node) => {
      node["spec"] = { ...node["spec"], taints: [{ key: "broken", value: "yes", effect }] };
    });
  taint("NoSchedule");
  await cluster.until(() => names().length === 4);
  const began = performance.now();
  taint("NoExecute");
  await cluster.until(() => names().length === 2);
  expect(names()).toEqual(["for-a-second", "for-ever"]);
  await cluster.until(() => names().length === 1);
  expect(performance.now() - began).toBeGreaterThan(950);
  expect(names()).toEqual(["for-ever"]);
  const events = cluster.store.list("events").filter((event) => event["reason"] === "TaintManagerEviction");
  expect(events.map((event) => event["message"]).sort()[0]).toBe("Marking for deletion Pod default/for-a-second");
});
