import { describe, expect, test } from "vitest";
import { sendJson, sendStatus } from "./fixtures/fake-api.ts";
import { world } from "./fixtures/world.ts";
import { CONFIG_MAPS, NAMESPACES, PODS, SERVICES } from "./objects.ts";

const body = async (request: AsyncIterable<Buffer>): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

describe("requests", () => {
  test("get: path, token, and the context's namespace by default", async () => {
    let authorization: string | undefined;
    await using w = await world((request, response) => {
      authorization = request.headers.authorization;
      sendJson(response, 200, { kind: "Pod", metadata: { name: "a", namespace: "shop" } });
    });
    const pod = await w.cluster.get(PODS, { name: "a" });
    expect(pod.metadata.name).toBe("a");
    expect(authorization).toBe("Bearer t0ken");
    await w.cluster.get(PODS, { name: "a", namespace: "other" });
    await w.cluster.get(NAMESPACES, { name: "n" });
    expect(w.api.requests).toEqual([
      "GET /api/v1/namespaces/shop/pods/a",
      "GET /api/v1/namespaces/other/pods/a",
      "GET /api/v1/namespaces/n",
    ]);
    expect(w.api.connections).toBe(1);
  });

  test("list: every page, items with their kind, and one go without pages when the snapshot expires", async () => {
    let expire = true;
    await using w = await world((request, response) => {
      const query = new URL(request.url!, "https://x").searchParams;
      const item = (name: string) => ({ metadata: { name, namespace: "shop", resourceVersion: "1" } });
      if (query.get("continue") === "p2" && expire) {
        expire = false;
        sendStatus(response, 410, "Expired", "too old");
      } else if (query.get("limit") === null) sendJson(response, 200, { metadata: {}, items: [item("a"), item("b"), item("c")] });
      else if (query.get("continue") === "p2") sendJson(response, 200, { metadata: {}, items: [item("b")] });
      else sendJson(response, 200, { metadata: { continue: "p2" }, items: [item("a")] });
    });
    const first = await w.cluster.list(SERVICES, { labelSelector: "app=x" });
    expect(first.map((service) => service.metadata.name)).toEqual(["a", "b", "c"]);
    const second = await w.cluster.list(SERVICES, { namespace: "shop" });
    expect(second.map((service) => service.metadata.name)).toEqual(["a", "b"]);
    expect(second[0]).toMatchObject({ apiVersion: "v1", kind: "Service" });
    expect(w.api.requests[0]).toBe("GET /api/v1/services?labelSelector=app%3Dx&limit=500");
  });

  test("create, patch and delete say what they are", async () => {
    const seen: string[] = [];
    await using w = await world(async (request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers["content-type"]} ${await body(request)}`);
      if (request.method === "DELETE" && request.url!.includes("gone")) {
        return sendStatus(response, 404, "NotFound", "gone", { name: "gone", kind: "configmaps" });
      }
      sendJson(response, 200, { metadata: { name: "m" } });
    });
    await w.cluster.create(CONFIG_MAPS, { metadata: { name: "m" }, data: { a: "ü" } }, { dryRun: true });
    await w.cluster.patch(CONFIG_MAPS, { name: "m" }, { data: { a: "2" } }, { kind: "apply", force: true });
    await w.cluster.patch(CONFIG_MAPS, { name: "m" }, [{ op: "remove", path: "/data/a" }], { kind: "json" });
    await w.cluster.delete(CONFIG_MAPS, { name: "m" }, { propagation: "Foreground", gracePeriodSeconds: 0, uid: "u1" });
    await w.cluster.delete(CONFIG_MAPS, { name: "gone" });
    expect(seen).toEqual([
      'POST /api/v1/namespaces/shop/configmaps?fieldManager=shipside&dryRun=All application/json {"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m"},"data":{"a":"ü"}}',
      'PATCH /api/v1/namespaces/shop/configmaps/m?fieldManager=shipside&force=true application/apply-patch+yaml {"data":{"a":"2"}}',
      'PATCH /api/v1/namespaces/shop/configmaps/m?fieldManager=shipside application/json-patch+json [{"op":"remove","path":"/data/a"}]',
      'DELETE /api/v1/namespaces/shop/configmaps/m application/json {"apiVersion":"v1","kind":"DeleteOptions","propagationPolicy":"Foreground","gracePeriodSeconds":0,"preconditions":{"uid":"u1"}}',
      'DELETE /api/v1/namespaces/shop/configmaps/gone application/json {"apiVersion":"v1","kind":"DeleteOptions"}',
    ]);
  });
});
