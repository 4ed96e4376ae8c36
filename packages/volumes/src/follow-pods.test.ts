import { EventEmitter } from "node:events";
import type { Cluster, Pod, Workload } from "@shipside/kube";
import { expect, test } from "vitest";
import type { PodFacts } from "./downward.ts";
import { followPods } from "./follow-pods.ts";

const replica = (ordinal: number, uid: string): Pod =>
  ({
    metadata: { name: `db-${ordinal}`, namespace: "shop", uid, labels: { "statefulset.kubernetes.io/pod-name": `db-${ordinal}` } },
    spec: { containers: [] },
    status: { phase: "Running" },
  }) as unknown as Pod;

test("of a StatefulSet the files tell of the replica whose claims are mounted, also while that is being replaced", async () => {
  const watch = { items: new Map<string, Pod>(), events: new EventEmitter(), close: async () => {} };
  const cluster = { watch: () => watch } as unknown as Cluster;
  const workload = {
    kind: "statefulset",
    namespace: "shop",
    name: "db",
    selector: { matchLabels: { app: "db" } },
  } as unknown as Workload;
  const facts: PodFacts = { namespace: "shop", spec: { containers: [] }, pod: replica(1, "first") };
  let changes = 0;
  const end = followPods(cluster, workload, { facts, signal: new AbortController().signal, onChange: () => changes++ });
  watch.items.set("db-0", replica(0, "zero"));
  watch.events.emit("change");
  expect([facts.pod?.metadata.uid, changes]).toEqual(["first", 0]);
  watch.items.set("db-1", replica(1, "second"));
  watch.events.emit("change");
  expect([facts.pod?.metadata.uid, changes]).toEqual(["second", 1]);
  await end();
});
