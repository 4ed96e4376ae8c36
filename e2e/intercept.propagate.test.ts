import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseMatch } from "@shipside/proxy";
import { openTunnel } from "@shipside/tunnel";
import { afterAll, beforeAll, expect, test } from "vitest";
import { intercepts, NAMESPACE, openSampleCluster, type SampleCluster } from "./incoming.fixture.ts";

// A developer's service that is started with the preload: what marks a request goes from a caller in the cluster through the relay, the
// link and the local process on to another service of the cluster.

let sample: SampleCluster;
beforeAll(async () => {
  sample = await openSampleCluster();
}, 150_000);
afterAll(() => sample?.[Symbol.asyncDispose]());

const labels = { app: "echo" };
/** Says what of a request's headers is carried on, and by which connection it came. */
const ECHO = `let connections = 0; const ids = new WeakMap();
require("http").createServer((request, answer) => {
  const { headers: { "x-shipside-intercept": intercept, baggage } } = request;
  answer.end(JSON.stringify({ intercept, baggage, connection: ids.get(request.socket) }));
}).on("connection", (socket) => ids.set(socket, ++connections)).listen(8080, process.env.IP.startsWith("127.") ? process.env.IP : undefined);`;

const echo = [
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "echo", namespace: NAMESPACE },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 0,
          containers: [
            {
              name: "echo",
              image: "node:24",
              command: ["node", "-e", ECHO],
              env: [{ name: "IP", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } }],
              readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  },
  {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "echo", namespace: NAMESPACE },
    spec: { selector: labels, ports: [{ port: 8080 }] },
  },
];

const alices = intercepts(() => ({
  cluster: sample.cluster,
  service: "core",
  match: parseMatch({ headers: ["x-shipside-intercept~^(alice|bob)$"] }, { user: "alice", key: "alice-1" }),
}));

test("what marks a request arrives at the service that the local process calls: by http and fetch, each request's own on kept-alive connections", async () => {
  await sample.embedded.apply(echo);
  await expect.poll(() => sample.endpoints("echo").length, { timeout: 20_000 }).toBe(1);
  await using tunnel = await openTunnel({ cluster: sample.cluster, bind: "local", services: ["echo"] });
  const program = fileURLToPath(new URL("../packages/proxy/src/fixtures/propagating-server.ts", import.meta.url));
  const mine = spawn(process.execPath, ["--conditions=@shipside/source", "--import", "@shipside/proxy/propagate", program], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    env: { ...process.env, UPSTREAM: `http://${tunnel.address("echo", 8080)}/` },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await using _mine = { [Symbol.asyncDispose]: async () => void mine.kill("SIGKILL") };
  const [port] = (await once(mine.stdout, "data")) as [Buffer];
  await alices.open({ ports: [{ remote: 3020, local: Number(String(port)) }] });
  await using _closed = { [Symbol.asyncDispose]: () => alices.close() };

  // One connection of the caller's for all of them; some wait on the local machine, so that they overlap with those of the other one.
  const asked = ["alice", "bob", undefined, "bob", "alice"];
  const caller = `
    const http = require("http"), agents = [0, 1].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
    const ask = (user, i, agent) => new Promise((resolve) => http.get("http://core:3020/", { agent, headers: user === null ? {} : {
      "x-shipside-intercept": user, baggage: "user=" + user + ",n=" + i, "x-wait": String((i % 3) * 40) } }, (answer) => {
      let said = ""; answer.on("data", (d) => said += d).on("end", () => resolve(said)); }).on("error", (e) => resolve("failed: " + e.code)));
    Promise.all(agents.map(async (agent, lane) => { const out = []; for (const [i, user] of ${JSON.stringify(asked)}.entries()) out.push(await ask(user, lane * 10 + i, agent)); return out; }))
      .then((out) => { console.log(JSON.stringify(out)); process.exit(); });`;
  const lanes = JSON.parse(await sample.node(caller)) as string[][];
  const connections = new Set<number>();
  for (const [lane, answers] of lanes.entries())
    for (const [i, user] of asked.entries()) {
      if (user === undefined) {
        expect(answers[i]).toContain('"version": "cluster"');
        continue;
      }
      const said = JSON.parse(answers[i]!) as Array<{ intercept: string; baggage: string; connection: number }>;
      for (const { connection } of said) connections.add(connection);
      const own = `user=${user},n=${lane * 10 + i}`;
      expect(
        said.map(({ connection: _connection, ...carried }) => carried),
        `${lane}.${i}`,
      ).toEqual([
        { intercept: user, baggage: own },
        { intercept: user, baggage: `own=1,user=mine,n=${lane * 10 + i}` },
        { intercept: user, baggage: own },
        // What a program sets itself counts.
        { intercept: "own", baggage: `own=1,${own}` },
      ]);
    }
  // 32 requests went on, by connections that were kept.
  expect(connections.size).toBeLessThan(20);
}, 90_000);
