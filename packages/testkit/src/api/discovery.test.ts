import { expect, test } from "vitest";
import type { Json } from "../json.ts";
import { world } from "./fixtures/world.ts";

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

test("the version, and that it is ready", async () => {
  await using w = await world();
  expect((await w.api.get("/version")).body).toMatchObject({ major: "1", gitVersion: expect.stringMatching(/^v1\.\d+\.\d+/) });
  for (const path of ["/healthz", "/livez", "/readyz"]) expect((await w.api.get(path)).status).toBe(200);
});

test("discovery, group by group: versions, kinds, verbs, subresources, short names", async () => {
  await using w = await world();
  expect((await w.api.get("/api")).body.versions).toEqual(["v1"]);
  const groups = (await w.api.get("/apis")).body.groups.map(({ name }: Json) => name);
  expect(groups).toEqual(
    expect.arrayContaining([
      "apps",
      "batch",
      "discovery.k8s.io",
      "coordination.k8s.io",
      "rbac.authorization.k8s.io",
      "authorization.k8s.io",
      "networking.k8s.io",
      "apiextensions.k8s.io",
    ]),
  );
  const { resources } = (await w.api.get("/api/v1")).body;
  const named = (name: string): Json => resources.find((resource: Json) => resource.name === name);
  expect(named("pods")).toMatchObject({ kind: "Pod", namespaced: true, shortNames: ["po"] });
  expect(named("pods").verbs).toEqual(
    expect.arrayContaining(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]),
  );
  expect(named("nodes").namespaced).toBe(false);
  for (const name of ["pods/exec", "pods/log", "pods/portforward", "pods/eviction", "serviceaccounts/token"])
    expect(named(name), name).toBeDefined();
  expect((await w.api.get("/apis/none/v1")).status).toBe(404);
});

test("aggregated discovery says the same at once", async () => {
  await using w = await world();
  for (const [path, list] of [
    ["/api", "/api/v1"],
    ["/apis", "/apis/apps/v1"],
  ] as const) {
    const { body } = await w.api.call("GET", path, undefined, { accept: AGGREGATED });
    expect(body.kind).toBe("APIGroupDiscoveryList");
    const group = body.items.find(({ metadata }: Json) => (metadata.name ?? "") === (path === "/api" ? "" : "apps"));
    const version = group.versions.find((each: Json) => each.version === "v1");
    const plain = (await w.api.get(list)).body.resources.map(({ name }: Json) => name);
    const aggregated = version.resources.flatMap(({ resource, subresources = [] }: Json) => [
      resource,
      ...subresources.map(({ subresource }: Json) => `${resource}/${subresource}`),
    ]);
    expect(aggregated.sort()).toEqual(plain.sort());
  }
});

test("OpenAPI: an index, and what server-side apply has to know of a Deployment", async () => {
  await using w = await world();
  const { paths } = (await w.api.get("/openapi/v3")).body;
  const { serverRelativeURL } = paths["apis/apps/v1"];
  const document = (await w.api.get(serverRelativeURL)).body;
  expect(document.openapi).toMatch(/^3\.0/);
  const { PodSpec } = document.components.schemas;
  expect(PodSpec.properties.containers).toMatchObject({
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["name"],
  });
  const { JobStatus } = (await w.api.get(paths["apis/batch/v1"].serverRelativeURL)).body.components.schemas;
  expect(JobStatus.properties.conditions["x-kubernetes-list-type"]).toBe("atomic");
});
