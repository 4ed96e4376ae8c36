import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createInspector, type Inspector } from "../inspector.ts";
import type { SessionView } from "../sessions.ts";
import { openApi } from "./openapi.ts";
import { type InspectorServer, serveInspector } from "./serve.ts";

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  /** Of the answers that a test looks into. */
  json: { id: number; request: { headers: [string, string][] } };
}

interface Operation {
  responses: Record<string, { content?: Record<string, { schema?: { $ref?: string } }> }>;
}

let inspector: Inspector;
let served: InspectorServer;
const app = createServer((incoming, response) => {
  response.setHeader("content-type", incoming.url === "/html" ? "text/html" : "application/json");
  response.setHeader("set-cookie", "session=hunter2");
  incoming.resume().on("end", () => response.end(incoming.url === "/html" ? "<script>alert(1)</script>" : '{"a":1}'));
});

function ask(
  method: string,
  path: string,
  { headers = {}, body, port = served.port }: { headers?: Record<string, string>; body?: unknown; port?: number } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: "127.0.0.1", port, method, path, agent: false, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (part) => (text += part));
      response.on("end", () => {
        const isJson = response.headers["content-type"] === "application/json";
        resolve({
          status: response.statusCode!,
          headers: response.headers,
          body: text,
          json: (isJson ? JSON.parse(text) : undefined) as Answer["json"],
        });
      });
    });
    outgoing.on("error", reject);
    if (body !== undefined) outgoing.setHeader("content-type", "application/json");
    outgoing.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
const withToken = () => ({ authorization: `Bearer ${served.token}` });
const api = (method: string, path: string, body?: unknown) => ask(method, path, { headers: withToken(), body });

const session: SessionView = {
  ...{ id: "a1b2c3", name: "mine", kind: "intercept", of: "service/core", context: "test", namespace: "shop" },
  ...{ openedAt: "2026-01-01T00:00:00.000Z", health: "well", notes: ["1 of 1 pods linked"] },
  tunnels: [
    {
      ...{ direction: "in", namespace: "shop", service: "core", port: 80, protocol: "TCP", state: "listening" },
      ...{ address: "127.0.0.1:8080", error: "", pods: [{ name: "shop/core-1", ready: true }] },
      ...{ connections: { open: 1, total: 2, failed: 0 }, bytes: { sent: 10, received: 20 } },
    },
  ],
};

beforeAll(async () => {
  inspector = createInspector();
  inspector.watch(app);
  await new Promise<void>((resolve) => app.listen(0, "127.0.0.1", resolve));
  const { port } = app.address() as AddressInfo;
  await ask("POST", "/json?q=1", { port, headers: { authorization: "Bearer hunter2" }, body: { x: 1 } });
  await ask("GET", "/html", { port });
  await inspector.settled();
  served = await serveInspector({ inspector, port: 0, sessions: () => [session] });
});
afterAll(async () => {
  await served.close();
  await inspector.close();
  app.closeAllConnections();
  app.close();
});

const ajv = new Ajv2020({ strict: false });
ajv.addSchema(openApi, "api");
const answers: [method: "get" | "put" | "post" | "delete", template: string, path: string, body?: unknown][] = [
  ["get", "/api/openapi.json", "/api/openapi.json"],
  ["get", "/api/status", "/api/status"],
  ["get", "/api/sessions", "/api/sessions"],
  ["get", "/api/exchanges", "/api/exchanges?filter=path:/"],
  ["get", "/api/exchanges", "/api/exchanges?filter=status:oops"],
  ["get", "/api/exchanges/{id}", "/api/exchanges/1"],
  ["get", "/api/exchanges/{id}", "/api/exchanges/999"],
  ["put", "/api/exchanges/{id}/pin", "/api/exchanges/1/pin", { pinned: true }],
  ["put", "/api/exchanges/{id}/pin", "/api/exchanges/1/pin", { pinned: "yes" }],
  ["get", "/api/exchanges/{id}/curl", "/api/exchanges/1/curl"],
  ["get", "/api/exchanges/{id}/response/body", "/api/exchanges/1/response/body"],
  ["get", "/api/exchanges/{id}/request/body", "/api/exchanges/1/request/body"],
  ["post", "/api/exchanges/{id}/replay", "/api/exchanges/1/replay", { edit: { method: "POST", body: "{}" } }],
  ["post", "/api/exchanges/{id}/replay", "/api/exchanges/1/replay", { target: "moon" }],
  ["get", "/api/diff", "/api/diff?left=1&right=2"],
  ["get", "/api/har", "/api/har?ids=1"],
  ["post", "/api/login", "/api/login", { token: "wrong" }],
];

it.each(answers)("answers %s %s as its OpenAPI document says (%s)", async (method, template, path, body) => {
  const { status, headers, json } = await api(method.toUpperCase(), path, body);
  const operation = (openApi.paths as unknown as Record<string, Record<string, Operation>>)[template]![method]!;
  const said = operation.responses[status] ? String(status) : "default";
  const type = Object.keys(operation.responses[said]!.content ?? { "": {} })[0]!;
  if (said === "default") expect(status).toBeGreaterThanOrEqual(400);
  else if (type === "*/*") expect(headers["content-type"]).toBeTruthy();
  else expect(headers["content-type"]).toBe(type);
  const reference = operation.responses[said]!.content?.["application/json"]?.schema?.$ref;
  if (reference === undefined) return;
  const validate = ajv.getSchema(`api${reference}`)!;
  expect(validate(json), JSON.stringify(validate.errors)).toBe(true);
});

it("documents every route that it has, and the tests above and below ask for each but the events", async () => {
  const documented = Object.entries(openApi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const asked = new Set(answers.map(([method, template]) => `${method.toUpperCase()} ${template}`));
  expect(documented.filter((each) => !asked.has(each))).toEqual(["DELETE /api/exchanges", "GET /api/events"]);
  // Its own two are handled ahead of these: the login, and the events that don't end.
  const source = await readFile(new URL("api.ts", import.meta.url), "utf8");
  const routed = [...source.matchAll(/case "([A-Z]+) ([^"]+)":/g)].map(
    ([, method, route]) => `${method} /api/${route!.replace("*", "{id}")}`,
  );
  expect([...routed, "POST /api/login", "GET /api/events"].sort()).toEqual(documented.sort());
});

it("forgets all but what is pinned when it is asked to", async () => {
  await using other = createInspector();
  const seen = other.connection({ direction: "incoming" });
  seen.data!("in", Buffer.from("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"));
  await other.settled();
  other.pin(2, true);
  await using own = await serveInspector({ inspector: other, port: 0 });
  const headers = { authorization: `Bearer ${own.token}` };
  expect(await ask("DELETE", "/api/exchanges", { headers, port: own.port })).toMatchObject({ status: 204, body: "" });
  expect((await other.list()).map(({ path }) => path)).toEqual(["/2"]);
});

it.each<[string, number, Record<string, string>]>([
  ["another host's name", 403, { host: "evil.example:80" }],
  ["another port of this machine", 403, { host: "localhost:1" }],
  ["another site's page", 403, { origin: "http://evil.example" }],
  ["a page without an origin of its own", 403, { origin: "null" }],
  ["another site, as the browser says", 403, { "sec-fetch-site": "cross-site" }],
  ["another port's page, as the browser says", 403, { "sec-fetch-site": "same-site" }],
  ["nobody's token", 401, { authorization: "" }],
  ["a wrong token", 401, { authorization: "Bearer wrong" }],
  ["a wrong cookie", 401, { authorization: "", cookie: "shipside-inspector=x" }],
])("refuses %s", async (_who, status, headers) => {
  const answer = await ask("GET", "/api/exchanges", { headers: { ...withToken(), ...headers } });
  expect(answer.status).toBe(status);
  expect(answer.body).not.toContain("/json");
});

it("trades the token for a cookie that scripts and other sites can't use", async () => {
  const { status, headers } = await ask("POST", "/api/login", { body: { token: served.token } });
  expect(status).toBe(204);
  const [cookie = ""] = headers["set-cookie"] as string[];
  expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; Path=\/$/);
  expect((await ask("GET", "/api/status", { headers: { cookie: cookie.split(";")[0]! } })).status).toBe(200);
});

it("trades a link for one browser once, whatever is read of its command line later", async () => {
  const token = new URLSearchParams(new URL(served.linkOnce()).hash.slice(1)).get("token");
  expect(token).not.toBe(served.token);
  expect((await ask("GET", "/api/status", { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
  expect((await ask("POST", "/api/login", { body: { token } })).status).toBe(204);
  expect((await ask("POST", "/api/login", { body: { token } })).status).toBe(401);
});

it("tells what is open, and once more when nothing moves", async () => {
  let told = "";
  const events = request(
    { host: "127.0.0.1", port: served.port, path: "/api/events", headers: withToken(), agent: false },
    (response) => {
      response.setEncoding("utf8").on("data", (part) => (told += part));
    },
  );
  events.on("error", () => {});
  events.end();
  const said = (): string[] => told.split("\n\n").filter((event) => event.startsWith("event: sessions"));
  await expect.poll(() => said().length, { timeout: 10_000 }).toBe(2);
  expect(JSON.parse(said()[0]!.split("data: ")[1]!)).toMatchObject({ sessions: [session] });
  events.destroy();
});

it("gives an HTML body as a file that nothing runs, and masks secrets until asked", async () => {
  const { headers } = await api("GET", "/api/exchanges/2/response/body");
  expect(headers).toMatchObject({ "content-type": "application/octet-stream", "x-content-type-options": "nosniff" });
  expect(headers["content-disposition"]).toMatch(/^attachment/);
  expect(headers["content-security-policy"]).toContain("sandbox");
  for (const path of ["/api/exchanges/1", "/api/exchanges/1/curl", "/api/har?ids=1"]) {
    expect((await api("GET", path)).body, path).not.toContain("hunter2");
    expect((await api("GET", `${path}${path.includes("?") ? "&" : "?"}reveal=true`)).body, path).toContain("hunter2");
  }
});

it("sends a masked header again as it was captured", async () => {
  const { json: shown } = await api("GET", "/api/exchanges/1");
  const { json: again } = await api("POST", "/api/exchanges/1/replay", { edit: { headers: shown.request.headers } });
  expect(inspector.get(again.id)!.requestHeaders).toContainEqual(["authorization", "Bearer hunter2"]);
});

it("takes an edited call's messages one by one, by hex, base64 or text, and nothing else", async () => {
  const replay = (messages: unknown) => api("POST", "/api/exchanges/1/replay", { edit: { messages } });
  const { json: sent } = await replay([{ hex: "6f 6e\n65" }, { base64: "dHdv" }, { text: "{}" }]);
  expect(Buffer.from(inspector.get(sent.id)!.requestBody.kept).toString("latin1")).toBe(
    "\0\0\0\0\x03one\0\0\0\0\x03two\0\0\0\0\x02{}",
  );
  for (const wrong of ["6f", [{ hex: "6" }], [{ hex: "no" }], [{}], [1]]) {
    const { status, body } = await replay(wrong);
    expect([status, body]).toEqual([400, expect.stringContaining("INSPECTOR_REQUEST_INVALID")]);
  }
});

it("tells what changes as it happens, to those whose filter fits", async () => {
  let told = "";
  const events = request(
    { host: "127.0.0.1", port: served.port, path: "/api/events?filter=method:PUT", headers: withToken(), agent: false },
    (response) => {
      response.setEncoding("utf8").on("data", (part) => (told += part));
    },
  );
  events.on("error", () => {});
  events.end();
  await expect.poll(() => told).toContain("event: batch");
  const { port } = app.address() as AddressInfo;
  await ask("PUT", "/live-put", { port });
  await ask("GET", "/live-get", { port });
  await expect.poll(() => told).toContain("/live-put");
  expect(told).not.toContain("/live-get");
  events.destroy();
});

it("takes the next port where one is taken, on both addresses", async () => {
  await using other = await serveInspector({ inspector, port: served.port });
  expect(other.port).toBeGreaterThan(served.port);
  expect(other.addresses).toEqual(served.addresses);
  expect(other.link(3)).toContain("request=3");
});
