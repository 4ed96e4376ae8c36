import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { Json } from "../json.ts";
import { configMap, NS, world } from "./fixtures/world.ts";

const LABELLED = `${NS}/configmaps?labelSelector=app`;
const seen = (events: Json[]) => events.map(({ type, object }) => [type, object.metadata?.name]);

test("without a version: what is there, then what happens; with one: only what happened since", async () => {
  await using w = await world();
  await w.api.call("POST", `${NS}/configmaps`, configMap("a", {}, { labels: { app: "x" } }));
  const from = (await w.api.get(LABELLED)).body.metadata.resourceVersion;
  const all = w.api.watch(`${LABELLED}&watch=1`);
  await all.reach(1);
  await w.api.call("POST", `${NS}/configmaps`, configMap("b", {}, { labels: { app: "x" } }));
  await w.api.call("DELETE", `${NS}/configmaps/a`);
  await all.reach(3);
  expect(seen(all.events)).toEqual([
    ["ADDED", "a"],
    ["ADDED", "b"],
    ["DELETED", "a"],
  ]);
  const since = w.api.watch(`${LABELLED}&watch=1&resourceVersion=${from}`);
  await since.reach(2);
  expect(seen(since.events)).toEqual([
    ["ADDED", "b"],
    ["DELETED", "a"],
  ]);
  expect(since.events[1].object.metadata.resourceVersion).toBe(all.events[2].object.metadata.resourceVersion);
  all.stop();
  since.stop();
});

test("an object that enters or leaves the selection comes and goes", async () => {
  await using w = await world();
  const watch = w.api.watch(`${LABELLED}=x&watch=1`);
  const label = (value: string | null) =>
    w.api.call(
      "PATCH",
      `${NS}/configmaps/a`,
      { metadata: { labels: { app: value } } },
      { "content-type": "application/merge-patch+json" },
    );
  await w.api.call("POST", `${NS}/configmaps`, configMap("a", { k: "v" }));
  await label("x");
  await w.api.call("PATCH", `${NS}/configmaps/a`, { data: { k: "w" } }, { "content-type": "application/merge-patch+json" });
  const { body: left } = await label(null);
  await label("x");
  await watch.reach(4);
  expect(seen(watch.events)).toEqual([
    ["ADDED", "a"],
    ["MODIFIED", "a"],
    ["DELETED", "a"],
    ["ADDED", "a"],
  ]);
  // As it was when it still matched, at the version at which it no longer did.
  expect(watch.events[2].object.metadata).toMatchObject({ labels: { app: "x" }, resourceVersion: left.metadata.resourceVersion });
  watch.stop();
});

test("a version that is no longer kept: an ERROR event with 410, and the end", async () => {
  await using w = await world();
  const from = w.cluster.store.revision;
  await w.api.call("POST", `${NS}/configmaps`, configMap("a"));
  w.cluster.store.compact();
  const watch = w.api.watch(`${NS}/configmaps?watch=1&resourceVersion=${from}`);
  await watch.ended;
  expect(watch.events).toEqual([
    { type: "ERROR", object: expect.objectContaining({ kind: "Status", code: 410, reason: "Expired" }) },
  ]);
});

test("sendInitialEvents: the list as events, then a bookmark that says so", async () => {
  await using w = await world();
  await w.api.call("POST", `${NS}/configmaps`, configMap("a", {}, { labels: { app: "x" } }));
  const query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
  const watch = w.api.watch(`${LABELLED}&${query}`);
  await watch.reach(2);
  expect(watch.events.map(({ type }) => type)).toEqual(["ADDED", "BOOKMARK"]);
  expect(watch.events[1].object).toMatchObject({
    kind: "ConfigMap",
    metadata: { annotations: { "k8s.io/initial-events-end": "true" }, resourceVersion: String(w.cluster.store.revision) },
  });
  watch.stop();
  const refused = await w.api.get(`${NS}/configmaps?watch=1&sendInitialEvents=true`);
  expect(refused.status).toBe(422);
  expect(refused.body.message).toContain("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
});

test("bookmarks come to those who ask for them, with a version to go on from", async () => {
  await using w = await world({ bookmarkIntervalMs: 30 });
  const watch = w.api.watch(`${LABELLED}&watch=1&allowWatchBookmarks=true`);
  await w.api.call("POST", "/api/v1/namespaces", { metadata: { name: "elsewhere" } });
  await watch.reach(3);
  const version = watch.events.at(-1).object.metadata.resourceVersion;
  expect(version).toBe(String(w.cluster.store.revision));
  watch.stop();
  const next = w.api.watch(`${LABELLED}&watch=1&resourceVersion=${version}`);
  await w.api.call("POST", `${NS}/configmaps`, configMap("b", {}, { labels: { app: "y" } }));
  await next.reach(1);
  expect(seen(next.events)).toEqual([["ADDED", "b"]]);
  next.stop();
});

test("timeoutSeconds ends it in good order", async () => {
  await using w = await world();
  const began = Date.now();
  const watch = w.api.watch(`${LABELLED}&watch=1&timeoutSeconds=1`);
  await watch.ended;
  expect(Date.now() - began).toBeGreaterThanOrEqual(990);
  expect(watch.events).toEqual([]);
});

test("one object, by path and by field", async () => {
  await using w = await world();
  for (const name of ["a", "b"]) await w.api.call("POST", `${NS}/configmaps`, configMap(name));
  const watches = [
    w.api.watch(`${NS}/configmaps/b?watch=1`),
    w.api.watch(`${NS}/configmaps?watch=1&fieldSelector=metadata.name%3Db`),
    w.api.watch("/api/v1/watch/namespaces/default/configmaps/b"),
  ];
  for (const watch of watches) {
    await watch.reach(1);
    expect(seen(watch.events)).toEqual([["ADDED", "b"]]);
    watch.stop();
  }
});

test("as a Table: columns first, rows after", async () => {
  await using w = await world();
  const watch = w.api.watch(`${LABELLED}&watch=1`, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" });
  for (const name of ["a", "b"])
    await w.api.call("POST", `${NS}/configmaps`, configMap(name, { x: "1" }, { labels: { app: "x" } }));
  await watch.reach(2);
  const [first, second] = watch.events.map(({ object }) => object);
  expect(first.columnDefinitions.map(({ name }: Json) => name)).toEqual(["Name", "Data", "Age"]);
  expect(second.columnDefinitions).toBeNull();
  expect(second.rows[0].cells.slice(0, 2)).toEqual(["b", 1]);
  watch.stop();
});

test("two hundred watchers see the same, and none is left behind", async () => {
  await using w = await world();
  const watches = Array.from({ length: 200 }, () => w.api.watch(`${LABELLED}&watch=1&resourceVersion=${w.cluster.store.revision}`));
  await w.api.call("POST", `${NS}/configmaps`, configMap("last", {}, { labels: { app: "x" } }));
  await Promise.all(watches.map((watch) => watch.reach(1)));
  for (const watch of watches) expect(seen(watch.events)).toEqual([["ADDED", "last"]]);
  await w.cluster.stop();
  await Promise.race([
    Promise.all(watches.map(({ ended }) => ended)),
    sleep(5000).then(() => Promise.reject(new Error("watches were left"))),
  ]);
});
