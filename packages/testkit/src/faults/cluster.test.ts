import type { IncomingMessage } from "node:http";
import { Agent, get } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { type ClusterOptions, type EmbeddedCluster, startCluster } from "../cluster.ts";

/** The real API server, over TLS, with a client that keeps its connections. */
async function serve(options: ClusterOptions = {}) {
  const cluster = await startCluster({ node: false, controllers: false, ...options });
  cluster.addUser({ name: "root", groups: ["system:masters"], token: "secret" });
  const agent = new Agent({ keepAlive: true, ca: cluster.ca });
  const open = (path: string): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      get(`${cluster.server}${path}`, { agent, headers: { authorization: "Bearer secret" } }, resolve).on("error", reject);
    });
  return {
    cluster,
    open,
    async ask(path: string) {
      const response = await open(path);
      let body = "";
      for await (const chunk of response) body += chunk;
      return { status: response.statusCode, body: JSON.parse(body) };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await cluster.close();
    },
  };
}

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";
const create = (cluster: EmbeddedCluster, name: string): Promise<unknown> =>
  cluster.apply([{ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default" } }]);

async function watch(server: Awaited<ReturnType<typeof serve>>): Promise<{ seen: string[]; closed: Promise<unknown> }> {
  const response = await server.open(`${CONFIG_MAPS}?watch=true`);
  const seen: string[] = [];
  let text = "";
  response.on("error", () => {});
  response.on("data", (chunk: Buffer) => {
    text += chunk;
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) seen.push(JSON.parse(line).object.metadata.name);
  });
  return { seen, closed: new Promise((resolve) => response.on("close", resolve)) };
}

const until = async (check: () => boolean): Promise<void> => {
  for (let i = 0; i < 300 && !check(); i++) await sleep(10);
  expect(check()).toBe(true);
};

test("frozen watches hold their events back and stay up", async () => {
  await using server = await serve();
  const { seen } = await watch(server);
  await create(server.cluster, "a");
  await until(() => seen.includes("a"));
  const undo = server.cluster.faults.freeze("watch");
  await create(server.cluster, "b");
  await sleep(150);
  expect(seen).not.toContain("b");
  expect((await server.ask(CONFIG_MAPS)).status).toBe(200);
  undo();
  await until(() => seen.includes("b"));
});

test("dropped watches end, and can be opened again", async () => {
  await using server = await serve();
  const first = await watch(server);
  expect(server.cluster.faults.dropConnections("watch")).toBe(1);
  await first.closed;
  const second = await watch(server);
  await create(server.cluster, "c");
  await until(() => second.seen.includes("c"));
});

test("answers that fail have the real bodies", async () => {
  await using server = await serve({ faults: { throttle: { times: 1, retryAfterSeconds: 2 } } });
  expect(await server.ask(CONFIG_MAPS)).toMatchObject({ status: 429, body: { kind: "Status", reason: "TooManyRequests" } });
  server.cluster.faults.expireVersions({ resource: "configmaps" });
  expect(await server.ask(CONFIG_MAPS)).toMatchObject({ status: 410, body: { kind: "Status", reason: "Expired" } });
  const undo = server.cluster.faults.expireCredentials("root");
  expect(await server.ask(CONFIG_MAPS)).toMatchObject({ status: 401, body: { reason: "Unauthorized" } });
  undo();
  expect((await server.ask(CONFIG_MAPS)).status).toBe(200);
});

test("TLS works over a slow link", async () => {
  await using server = await serve({ faults: { slowLink: { latencyMs: 30, bytesPerSecond: 1_000_000 } } });
  for (let i = 0; i < 3; i++) await create(server.cluster, `m${i}`);
  await server.ask(CONFIG_MAPS);
  const start = performance.now();
  expect((await server.ask(CONFIG_MAPS)).body.items.length).toBeGreaterThanOrEqual(3);
  expect(performance.now() - start).toBeGreaterThan(55);
});

test("the server comes back on its address with its state", async () => {
  await using server = await serve();
  const { closed } = await watch(server);
  await create(server.cluster, "kept");
  const address = server.cluster.server;
  await server.cluster.faults.restartApiServer();
  await closed;
  expect(server.cluster.server).toBe(address);
  const names = (await server.ask(CONFIG_MAPS)).body.items.map((item: { metadata: { name: string } }) => item.metadata.name);
  expect(names).toContain("kept");
});

test("a frozen server accepts connections and says nothing, not even hello", async () => {
  await using server = await serve();
  const undo = server.cluster.faults.freeze();
  const outcome = server.ask(CONFIG_MAPS).catch((error: NodeJS.ErrnoException) => error.code);
  expect(await Promise.race([outcome, sleep(200, "nothing")])).toBe("nothing");
  undo();
  expect(["ECONNRESET", "EPIPE"]).toContain(await outcome);
  expect((await server.ask(CONFIG_MAPS)).status).toBe(200);
});
