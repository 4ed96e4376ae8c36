import fc from "fast-check";
import { expect, test } from "vitest";
import { createStore } from "./memory-store.ts";
import type { KubeJson, StoreEvent } from "./store.ts";

const deployment = (name: string, namespace = "default", spec: object = {}) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name, namespace },
  spec,
});

test("create sets what the server owns, and refuses a second object of the name", () => {
  const store = createStore({ now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678) });
  const made = store.create("deployments.apps", deployment("web"));
  expect(made.metadata).toMatchObject({
    generation: 1,
    creationTimestamp: "2026-01-02T03:04:05Z",
    resourceVersion: String(store.revision),
  });
  expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
  expect(Object.isFrozen(made["spec"])).toBe(true);
  expect(() => store.create("deployments.apps", deployment("web"))).toThrow('deployments.apps "web" already exists');
  expect(
    store.create("configmaps", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a", namespace: "x" } }).metadata
      .generation,
  ).toBe(undefined);
});

test("update: conflict, generation for what is desired only, silence where nothing changes", () => {
  const store = createStore();
  const made = store.create("deployments.apps", deployment("web", "default", { replicas: 1 }));
  const events: StoreEvent[] = [];
  store.subscribe((event) => events.push(event));
  expect(store.update("deployments.apps", structuredClone(made))).toBe(made);
  expect(events).toEqual([]);
  const status = store.update("deployments.apps", { ...made, status: { replicas: 1 } });
  expect(status.metadata.generation).toBe(1);
  const spec = store.mutate("deployments.apps", "default", "web", (copy) => (copy["spec"].replicas = 2))!;
  expect(spec.metadata.generation).toBe(2);
  expect(() => store.update("deployments.apps", { ...made, spec: { replicas: 9 } })).toThrow("the object has been modified");
  expect(events.map((event) => [event.type, event.revision])).toEqual([
    ["MODIFIED", Number(status.metadata.resourceVersion)],
    ["MODIFIED", Number(spec.metadata.resourceVersion)],
  ]);
  expect(() => store.update("deployments.apps", { ...made, metadata: { ...made.metadata, name: "no" } })).toThrow('"no" not found');
});

test("a deleted object goes with its last finalizer, and stays while a grace period runs", () => {
  const store = createStore();
  const make = (name: string, grace?: number) =>
    store.create("pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name,
        namespace: "default",
        finalizers: ["x/y"],
        deletionTimestamp: "2026-01-01T00:00:00Z",
        ...(grace !== undefined && { deletionGracePeriodSeconds: grace }),
      },
    });
  make("now");
  make("later", 30);
  const events: StoreEvent[] = [];
  store.subscribe((event) => events.push(event));
  for (const name of ["now", "later"]) store.mutate("pods", "default", name, (copy) => delete copy.metadata.finalizers);
  expect(events.map((event) => [event.type, event.object.metadata.name])).toEqual([
    ["DELETED", "now"],
    ["MODIFIED", "later"],
  ]);
  expect(store.list("pods").map((pod) => pod.metadata.name)).toEqual(["later"]);
});

test("changes made by a subscriber come after the change that it saw, for everybody", () => {
  const store = createStore();
  const seen: number[] = [];
  store.subscribe((event) => {
    if (event.type === "ADDED" && event.object.metadata.name === "a") store.create("pods", pod("b"));
  });
  store.subscribe((event) => seen.push(event.revision));
  store.create("pods", pod("a"));
  expect(seen).toEqual([store.revision - 1, store.revision]);
});

test("a subscriber that throws keeps nobody else from seeing the change, and the next ones", () => {
  const store = createStore();
  const seen: string[] = [];
  store.subscribe(({ object }) => {
    if (object.metadata.name === "a") {
      store.create("pods", pod("b"));
      throw new Error("mine");
    }
  });
  store.subscribe(({ object }) => seen.push(object.metadata.name));
  expect(() => store.create("pods", pod("a"))).toThrow("mine");
  store.create("pods", pod("c"));
  expect(seen).toEqual(["a", "b", "c"]);
});

test("lists in etcd's key order, whatever the order of creation", () => {
  const store = createStore();
  for (const [namespace, name] of [
    ["b", "a"],
    ["a-b", "z"],
    ["a", "b"],
    ["a", "a-1"],
    ["a", "a"],
  ] as const)
    store.create("pods", pod(name, namespace));
  const keys = (list: KubeJson[]) => list.map((item) => `${item.metadata.namespace}/${item.metadata.name}`);
  expect(keys(store.list("pods"))).toEqual(["a-b/z", "a/a", "a/a-1", "a/b", "b/a"]);
  expect(keys(store.list("pods", "a"))).toEqual(["a/a", "a/a-1", "a/b"]);
});

test("changes since a revision replay to the present, and a list at a revision is what was then", () => {
  const step = fc.record({
    name: fc.constantFrom("a", "b", "c"),
    action: fc.constantFrom("create", "update", "remove"),
    value: fc.nat(5),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), fc.nat(30), (steps, at) => {
      const store = createStore({ history: 1000 });
      const names = (list: KubeJson[]) => list.map((item) => [item.metadata.name, item.metadata.resourceVersion]);
      let then = store.list("pods");
      let revision = store.revision;
      steps.forEach(({ name, action, value }, i) => {
        if (i === at) [then, revision] = [store.list("pods"), store.revision];
        if (action === "remove") store.remove("pods", "default", name);
        else if (store.get("pods", "default", name)) store.mutate("pods", "default", name, (copy) => (copy["spec"] = { value }));
        else if (action === "create") store.create("pods", { ...pod(name), spec: { value } });
      });
      if (at >= steps.length) [then, revision] = [store.list("pods"), store.revision];
      expect(names(store.listAt("pods", "default", revision)!)).toEqual(names(then));
      const replayed = new Map(then.map((object) => [object.metadata.name, object]));
      for (const event of store.since("pods", revision)!) {
        expect(event.revision).toBeGreaterThan(revision);
        if (event.type === "DELETED") replayed.delete(event.object.metadata.name);
        else replayed.set(event.object.metadata.name, event.object);
      }
      expect(names([...replayed.values()].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1)))).toEqual(
        names(store.list("pods")),
      );
    }),
  );
});

test("history that was dropped is said to be gone", () => {
  const store = createStore({ history: 3 });
  const start = store.revision;
  for (let i = 0; i < 10; i++) store.create("pods", pod(`p${i}`));
  expect(store.since("pods", start)).toBe(undefined);
  expect(store.listAt("pods", undefined, start)).toBe(undefined);
  expect(store.since("pods", store.revision - 2)).toHaveLength(2);
  store.compact();
  expect(store.since("pods", store.revision - 1)).toBe(undefined);
  expect(store.since("pods", store.revision)).toEqual([]);
});

function pod(name: string, namespace = "default") {
  return { apiVersion: "v1", kind: "Pod", metadata: { name, namespace } };
}
