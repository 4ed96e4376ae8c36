import { expect, test } from "vitest";
import { createStore } from "../memory-store.ts";
import { createRecorder } from "./events.ts";

test("Events are listed in the order in which they happened, whoever recorded them", () => {
  const store = createStore();
  const pod = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "a", namespace: "default", uid: "1", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" },
  };
  const recorders = [createRecorder(store, "default-scheduler"), createRecorder(store, "kubelet", "node")];
  const reasons = Array.from({ length: 20 }, (_, i) => `Reason${i}`);
  reasons.forEach((reason, i) => void recorders[i % 2]!(pod, "Normal", reason, reason));
  expect(store.list("events", "default").map((event) => event["reason"])).toEqual(reasons);
  expect(store.list("events", "default").every(({ metadata }) => /^a\.[0-9a-f]{16}$/.test(metadata.name))).toBe(true);
});
