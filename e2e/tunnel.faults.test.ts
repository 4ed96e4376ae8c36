import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { openTunnel, type Tunnel } from "@shipside/tunnel";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";

// What goes wrong is made to go wrong by the embedded cluster itself, so these don't run against another one.

/** Answers a line with its pod's name and when it began, and ends. */
const PROGRAM = `
  const began = Date.now();
  require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {}).once("data", () => socket.end(process.env.POD_NAME + " " + began));
  }).listen(8080, process.env.POD_IP);
  process.on("SIGTERM", () => process.exit(0));
`;

const container = {
  name: "app",
  image: "node:24",
  command: ["node", "-e", PROGRAM],
  env: [{ name: "POD_NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
  ports: [{ name: "app", containerPort: 8080 }],
  readinessProbe: { tcpSocket: { port: "app" }, periodSeconds: 1, failureThreshold: 1 },
};

const workload = (kind: string, name: string, replicas: number, spec: object = {}): object => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: { metadata: { labels: { app: name } }, spec: { terminationGracePeriodSeconds: 2, containers: [container] } },
    ...spec,
  },
});

const service = (name: string, app: string, spec: object = {}): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name },
  spec: { selector: { app }, ports: [{ port: 28_090, targetPort: "app" }], ...spec },
});

// Pods are real processes that are started one after the other, and machines are slow.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let cluster: EmbeddedCluster;
let directory: string;

beforeAll(async () => {
  cluster = await startCluster({ node: { restartBackoff: { baseMs: 100, maxMs: 1_000 } } });
  directory = await mkdtemp(join(tmpdir(), "shipside-e2e-"));
  await cluster.apply([
    workload("Deployment", "web", 1),
    service("web", "web"),
    workload("StatefulSet", "db", 2, { serviceName: "db" }),
    service("db", "db", { clusterIP: "None" }),
  ]);
});
afterAll(async () => {
  await cluster.close();
  await rm(directory, { recursive: true, force: true });
});

let served: Promise<void> | undefined;
beforeEach(() => {
  served ??= (async () => {
    await using tunnel = await open();
    for (const name of ["web", "db-0.db", "db-1.db"]) {
      const start = name.split(/[-.]/)[0]!;
      await expect.poll(() => ask(tunnel, name).catch(String), { timeout: 15_000 }).toMatch(new RegExp(`^${start}-`));
    }
  })().catch((error: unknown) => {
    served = undefined;
    throw error;
  });
  return served;
});

const open = (kubeconfig = cluster.kubeconfigPath): Promise<Tunnel> =>
  openTunnel({ kubeconfig, namespace: "default", pool: { stateFile: join(directory, "addresses.json") }, holdMs: 15_000 });

async function ask(tunnel: Tunnel, name: string): Promise<string> {
  const address = new URL(`tcp://${tunnel.address(name, 28_090)}`);
  const socket = connect({ host: address.hostname, port: Number(address.port), allowHalfOpen: true });
  socket.on("error", () => {});
  socket.write("who?\n");
  try {
    return await text(socket);
  } finally {
    socket.destroy();
  }
}

test("pods of a StatefulSet are reached by their own names, also when they are made anew", async () => {
  await using tunnel = await open();
  expect(await ask(tunnel, "db-0.db")).toMatch(/^db-0 /);
  const before = await ask(tunnel, "db-1.db");
  expect(before).toMatch(/^db-1 /);
  const names = JSON.stringify(tunnel.hostsEntries());

  cluster.store.remove("pods", "default", "db-1");
  const after = await ask(tunnel, "db-1.db.default.svc.cluster.local");
  expect(after).toMatch(/^db-1 /);
  expect(after).not.toBe(before);
  expect(JSON.stringify(tunnel.hostsEntries())).toBe(names);
});

test("a pod that was killed is waited for by the connections that come meanwhile", async () => {
  await using tunnel = await open();
  const [name, before] = (await ask(tunnel, "web")).split(" ");
  await cluster.faults.killPod("default", name!);
  // A connection that the dying process has taken is reset, and rightly so.
  const isReady = (): unknown => cluster.store.get("pods", "default", name!)?.["status"].containerStatuses[0].ready;
  await expect.poll(isReady, { interval: 5 }).toBe(false);
  const [again, after] = (await ask(tunnel, "web")).split(" ");
  expect(again).toBe(name);
  expect(after).not.toBe(before);
});

test("the API server goes away and comes back: connections are held, changes are caught up with, the truth is told", async () => {
  await using tunnel = await open();
  const address = tunnel.address("web", 28_090);
  const stale = once(tunnel.events as never, "stale");
  const late = `late-${randomBytes(3).toString("hex")}`;
  const added = once(tunnel.events as never, "service-added");
  let answer: Promise<string>;
  await cluster.stop();
  try {
    await stale;
    expect(tunnel.status().stale.length).toBeGreaterThan(0);
    answer = ask(tunnel, "web");
    answer.catch(() => {});
    await cluster.apply([service(late, "web")]);
    await sleep(500);
  } finally {
    await cluster.start();
  }
  expect(await answer).toMatch(/^web-/);
  await added;
  expect(await ask(tunnel, late)).toMatch(/^web-/);
  expect(tunnel.address("web", 28_090)).toBe(address);
  await expect.poll(() => tunnel.status().stale).toEqual([]);
});

test("a user who may not watch is told the rule that is missing; one who may not port-forward is told at the first connection", async () => {
  const kubeconfig = async (user: string): Promise<string> => {
    const path = join(directory, user);
    await writeFile(path, cluster.addUser({ name: user }), { mode: 0o600 });
    return path;
  };
  await expect(open(await kubeconfig("nobody"))).rejects.toMatchObject({
    code: "KUBE_FORBIDDEN",
    hint: expect.stringMatching(/services|endpointslices/),
  });

  await cluster.apply([
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: "watcher" },
      rules: [
        { apiGroups: [""], resources: ["services"], verbs: ["list", "watch"] },
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: "watcher" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "watcher" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "watcher" }],
    },
  ]);
  await using tunnel = await open(await kubeconfig("watcher"));
  const outcome = once(tunnel.events as never, "connection-closed") as Promise<[{ attempts: number; error: unknown }]>;
  await expect(ask(tunnel, "web")).rejects.toMatchObject({ code: "ECONNRESET" });
  expect((await outcome)[0]).toMatchObject({
    attempts: 1,
    error: { code: "DIAL_FAILED", hint: expect.stringContaining('resources: ["pods/portforward"]') },
  });
});
