import { request } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import { DEPLOYMENTS, type KubeObject, type PodController, SERVICES, type Service } from "@shipside/kube";
import { openTunnel } from "@shipside/tunnel";
import { expect, test } from "vitest";
import { type E2eCluster, e2eCluster } from "./tunnel.fixture.ts";

const REQUESTS = 500;
const RESTARTS = 4;

/** How long a cluster may take to tell everybody that a pod ends, in ms: a pod that ends sooner cuts off who didn't know. */
const SPREAD_MS = process.env["SHIPSIDE_E2E_KUBECONFIG"] ? 2_000 : 500;

/** Answers with its pod's name, and serves on for a while after it was told to end, as a well-behaved server does. */
const PROGRAM = `
  const server = require("node:http").createServer((request, response) => setTimeout(() => response.end(process.env.POD_NAME), 10));
  server.listen(8080, process.env.POD_IP);
  process.on("SIGTERM", () => setTimeout(() => server.close(() => process.exit(0)), ${SPREAD_MS}));
`;

test.each([
  ["RollingUpdate", 2],
  ["Recreate", 1],
])(`${REQUESTS} requests during ${RESTARTS} restarts (%s) without a failure`, { timeout: 90_000 }, async (strategy, replicas) => {
  await using e2e = await e2eCluster();
  const { kubeconfig, namespace } = e2e;
  await deploy(e2e, strategy, replicas);
  await rolledOut(e2e);
  await using tunnel = await openTunnel({ kubeconfig, namespace, bind: "local", services: ["web"] });
  const address = `http://${tunnel.address("web")}/`;

  let restarting = true;
  // Why, where one fails.
  tunnel.events.on("connection-closed", (outcome) => {
    if (outcome.error && restarting) console.error(inspect(outcome, { depth: 6 }));
  });
  const pods = new Set<string>();
  const failures: unknown[] = [];
  let asked = 0;
  const client = async (): Promise<void> => {
    while (asked < REQUESTS || restarting) {
      asked++;
      await get(address).then(
        (pod) => pods.add(pod),
        (error) => failures.push(error),
      );
      await sleep(20);
    }
  };
  const restarts = (async () => {
    for (let restart = 0; restart < RESTARTS; restart++) {
      await e2e.cluster.patch(
        DEPLOYMENTS,
        { name: "web" },
        { spec: { template: { metadata: { annotations: { "kubectl.kubernetes.io/restartedAt": `${restart}` } } } } },
        { kind: "strategic" },
      );
      await rolledOut(e2e);
    }
  })().finally(() => {
    restarting = false;
  });
  await Promise.all([restarts, client(), client(), client(), client()]);

  expect(failures).toEqual([]);
  expect(asked).toBeGreaterThanOrEqual(REQUESTS);
  // Every generation of pods has answered: the requests went on all the while.
  expect(pods.size).toBeGreaterThan(RESTARTS);
  const [port] = tunnel.status().services[0]!.ports;
  console.info(`${strategy}: ${asked} requests, ${pods.size} pods, ${port?.connections.total} connections`);
});

/** Each request has a connection of its own, so that each is a choice of a pod. */
function get(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    request(url, { agent: false, timeout: 15_000 }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => (body += chunk));
      response.on("end", () => (response.statusCode === 200 ? resolve(body) : reject(new Error(`${response.statusCode} ${body}`))));
      response.on("error", reject);
    })
      .on("error", reject)
      .on("timeout", () => reject(new Error("no answer within 15 s")))
      .end();
  });
}

async function deploy({ cluster }: E2eCluster, strategy: string, replicas: number): Promise<void> {
  const labels = { app: "web" };
  const service: Service = {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "web" },
    spec: { selector: labels, ports: [{ port: 80, targetPort: "http" }] },
  };
  const deployment: KubeObject & { spec: unknown } = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: {
      replicas,
      strategy: { type: strategy },
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 5,
          containers: [
            {
              name: "web",
              image: "node:24-alpine",
              command: ["node", "-e", PROGRAM],
              env: [{ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
              ports: [{ name: "http", containerPort: 8080 }],
              readinessProbe: { httpGet: { path: "/", port: "http" }, periodSeconds: 1 },
            },
          ],
        },
      },
    },
  };
  await cluster.create(SERVICES, service);
  await cluster.create(DEPLOYMENTS, deployment as unknown as PodController);
}

/** As `kubectl rollout status` judges it. */
async function rolledOut({ cluster }: E2eCluster): Promise<void> {
  for (const until = Date.now() + 60_000; ; await sleep(100)) {
    const { metadata, spec, status = {} } = await cluster.get(DEPLOYMENTS, { name: "web" });
    const { observedGeneration, replicas, updatedReplicas, availableReplicas } = status as Record<string, number | undefined>;
    const wanted = spec.replicas ?? 1;
    const seen = (observedGeneration ?? 0) >= (metadata.generation ?? 0);
    if (seen && replicas === wanted && updatedReplicas === wanted && availableReplicas === wanted) return;
    if (Date.now() > until) throw new Error(`the rollout isn't done: ${JSON.stringify(status)}`);
  }
}
