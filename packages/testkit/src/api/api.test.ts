import { describe, expect, test } from "vitest";
import type { Json } from "../json.ts";
import { APPS, configMap, deployment, NS, world } from "./fixtures/world.ts";

const MERGE = { "content-type": "application/merge-patch+json" };

describe("update and patch", () => {
  test("a stale version is a conflict; none at all wins", async () => {
    await using w = await world();
    const { body: first } = await w.api.call("POST", `${NS}/configmaps`, configMap("a", { k: "1" }));
    await w.api.call("PUT", `${NS}/configmaps/a`, { ...first, data: { k: "2" } });
    const stale = await w.api.call("PUT", `${NS}/configmaps/a`, { ...first, data: { k: "3" } });
    expect(stale.status).toBe(409);
    expect(stale.body.message).toBe(
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
    );
    expect((await w.api.call("PUT", `${NS}/configmaps/a`, configMap("a", { k: "4" }))).body.data).toEqual({ k: "4" });
    expect((await w.api.call("PUT", `${NS}/configmaps/a`, configMap("b"))).body.message).toBe(
      "the name of the object (b) does not match the name on the URL (a)",
    );
    expect((await w.api.call("PATCH", `${NS}/configmaps/a`, { metadata: { resourceVersion: "1" } }, MERGE)).status).toBe(409);
  });

  test("status is changed by its subresource only, and the rest not by it", async () => {
    await using w = await world();
    await w.api.call("POST", `${APPS}/deployments`, deployment("web"));
    const both = { spec: { replicas: 5 }, status: { replicas: 3 } };
    expect((await w.api.call("PATCH", `${APPS}/deployments/web`, both, MERGE)).body).toMatchObject({
      spec: { replicas: 5 },
      status: {},
    });
    const { body } = await w.api.call(
      "PATCH",
      `${APPS}/deployments/web/status`,
      { spec: { replicas: 9 }, status: { replicas: 3 } },
      MERGE,
    );
    expect(body).toMatchObject({ spec: { replicas: 5 }, status: { replicas: 3 }, metadata: { generation: 2 } });
  });

  test("scale is a view of the controller", async () => {
    await using w = await world();
    await w.api.call("POST", `${APPS}/deployments`, deployment("web"));
    const { body } = await w.api.get(`${APPS}/deployments/web/scale`);
    expect(body).toMatchObject({
      kind: "Scale",
      apiVersion: "autoscaling/v1",
      spec: { replicas: 1 },
      status: { selector: "app=web" },
    });
    const scaled = await w.api.call("PUT", `${APPS}/deployments/web/scale`, { ...body, spec: { replicas: 4 } });
    expect(scaled.body.spec.replicas).toBe(4);
    expect((await w.api.call("PUT", `${APPS}/deployments/web/scale`, { ...body, spec: { replicas: 2 } })).status).toBe(409);
    expect((await w.api.call("PATCH", `${APPS}/deployments/web/scale`, { spec: { replicas: -1 } }, MERGE)).status).toBe(422);
    expect((await w.api.get(`${APPS}/deployments/web`)).body.spec.replicas).toBe(4);
  });

  test.each([
    [
      "deployments",
      `${APPS}/deployments`,
      deployment("x"),
      { spec: { selector: { matchLabels: { app: "y" } } } },
      "field is immutable",
    ],
    [
      "services",
      `${NS}/services`,
      { metadata: { name: "x" }, spec: { ports: [{ port: 1 }] } },
      { spec: { clusterIP: "10.96.9.9" } },
      "may not change once set",
    ],
    [
      "immutable configmaps",
      `${NS}/configmaps`,
      { ...configMap("x"), immutable: true },
      { data: { a: "1" } },
      "field is immutable when `immutable` is set",
    ],
    ["secrets", `${NS}/secrets`, { metadata: { name: "x" } }, { type: "other" }, "field is immutable"],
  ])("what may not change doesn't: %s", async (_kind, path, object, change, message) => {
    await using w = await world();
    expect((await w.api.call("POST", path, object)).status).toBe(201);
    const answer = await w.api.call("PATCH", `${path}/x`, change, MERGE);
    expect(answer.status).toBe(422);
    expect(answer.body.message).toContain(message);
  });
});

describe("delete", () => {
  test("finalizers hold an object until they are gone", async () => {
    await using w = await world();
    await w.api.call("POST", `${NS}/configmaps`, configMap("a", {}, { finalizers: ["x.io/hold"] }));
    const { body } = await w.api.call("DELETE", `${NS}/configmaps/a`);
    expect(body.metadata.deletionTimestamp).toBeTruthy();
    const add = await w.api.call("PATCH", `${NS}/configmaps/a`, { metadata: { finalizers: ["x.io/hold", "y.io/more"] } }, MERGE);
    expect(add.body.message).toContain("no new finalizers can be added if the object is being deleted");
    await w.api.call("PATCH", `${NS}/configmaps/a`, { metadata: { finalizers: null } }, MERGE);
    expect((await w.api.get(`${NS}/configmaps/a`)).status).toBe(404);
  });

  test("preconditions, a Status as the answer, and collections by selector", async () => {
    await using w = await world();
    for (const name of ["a", "b", "c"])
      await w.api.call("POST", `${NS}/configmaps`, configMap(name, {}, { labels: { app: name } }));
    expect((await w.api.call("DELETE", `${NS}/configmaps/a`, { preconditions: { uid: "other" } })).status).toBe(409);
    expect((await w.api.call("DELETE", `${NS}/configmaps/a`)).body).toMatchObject({
      kind: "Status",
      status: "Success",
      details: { name: "a", kind: "configmaps" },
    });
    await w.api.call("DELETE", `${NS}/configmaps?labelSelector=app`);
    expect((await w.api.get(`${NS}/configmaps`)).body.items.map(({ metadata }: Json) => metadata.name)).toEqual([
      "kube-root-ca.crt",
    ]);
    expect((await w.api.call("DELETE", `${NS}/configmaps/b`, { propagationPolicy: "Sideways" })).status).toBe(422);
  });

  test("a namespace takes what is in it with it; those of the system stay", async () => {
    await using w = await world();
    await w.api.call("POST", "/api/v1/namespaces", { metadata: { name: "shop" } });
    await w.api.call("POST", "/api/v1/namespaces/shop/configmaps", configMap("a"));
    await w.api.call("DELETE", "/api/v1/namespaces/shop");
    expect((await w.api.get("/api/v1/namespaces/shop/configmaps")).body.items).toEqual([]);
    expect((await w.api.call("POST", "/api/v1/namespaces/shop/configmaps", configMap("a"))).body.message).toBe(
      'namespaces "shop" not found',
    );
    expect((await w.api.call("DELETE", "/api/v1/namespaces/default")).status).toBe(403);
  });

  test("an eviction that a budget doesn't allow is 429", async () => {
    await using w = await world();
    await w.api.call("POST", `${NS}/pods`, {
      metadata: { name: "p", labels: { app: "x" } },
      spec: { containers: [{ name: "a", image: "i" }] },
    });
    await w.api.call("POST", "/apis/policy/v1/namespaces/default/poddisruptionbudgets", {
      metadata: { name: "b" },
      spec: { minAvailable: 1, selector: { matchLabels: { app: "x" } } },
    });
    w.cluster.store.mutate("pods", "default", "p", (pod) => {
      pod["status"] = { ...pod["status"], phase: "Running", conditions: [{ type: "Ready", status: "True" }] };
    });
    const evict = () =>
      w.api.call("POST", `${NS}/pods/p/eviction`, { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: "p" } });
    const refused = await evict();
    expect(refused.status).toBe(429);
    expect(refused.headers["retry-after"]).toBeUndefined();
    await w.api.call("DELETE", "/apis/policy/v1/namespaces/default/poddisruptionbudgets/b");
    expect((await evict()).status).toBe(201);
    expect((await w.api.get(`${NS}/pods/p`)).status).toBe(404);
  });
});

describe("kinds of one's own", () => {
  test("a CustomResourceDefinition adds a kind, with columns and a status", async () => {
    await using w = await world();
    const created = await w.api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
      metadata: { name: "gizmos.example.com" },
      spec: {
        group: "example.com",
        scope: "Namespaced",
        names: { plural: "gizmos", kind: "Gizmo", shortNames: ["gz"] },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            subresources: { status: {} },
            additionalPrinterColumns: [
              { name: "Ready", type: "string", jsonPath: '.status.conditions[?(@.type=="Ready")].status' },
            ],
          },
        ],
      },
    });
    expect(created.status).toBe(201);
    const path = "/apis/example.com/v1/namespaces/default/gizmos";
    await w.api.call("POST", path, {
      apiVersion: "example.com/v1",
      kind: "Gizmo",
      metadata: { name: "g" },
      spec: { any: [{ thing: 1 }] },
    });
    await w.api.call("PATCH", `${path}/g/status`, { status: { conditions: [{ type: "Ready", status: "True" }] } }, MERGE);
    const table = await w.api.get(path, { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" });
    expect(table.body.rows[0].cells).toEqual(["g", "True"]);
    expect((await w.api.get(`${path}/g`)).body.spec).toEqual({ any: [{ thing: 1 }] });
    expect((await w.api.get("/apis/example.com/v1")).body.resources[0]).toMatchObject({ name: "gizmos", shortNames: ["gz"] });
    expect((await w.api.call("PATCH", `${path}/g`, {}, { "content-type": "application/strategic-merge-patch+json" })).status).toBe(
      415,
    );
  });
});
