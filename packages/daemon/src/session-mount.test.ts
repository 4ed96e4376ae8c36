import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { request as secureRequest } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { definePlugin, type VolumeDriver } from "@shipside/core";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createSessionHost } from "./host.ts";
import type { SessionEvent, SessionOptions } from "./session-info.ts";

const namespace = "sample";
const podSpec = {
  automountServiceAccountToken: false,
  volumes: [{ name: "work", emptyDir: {} }],
  containers: [{ name: "main", image: "node", volumeMounts: [{ name: "work", mountPath: "/work" }] }],
};

let cluster: EmbeddedCluster;
let dir: string;
/** What happened, in its order. */
let events: string[];
beforeAll(async () => {
  cluster = await startCluster({ node: false, controllers: false });
  await cluster.apply([
    { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } },
    { apiVersion: "v1", kind: "Service", metadata: { name: "leaf", namespace }, spec: { ports: [{ port: 3010 }] } },
    {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: "core", namespace },
      spec: podSpec,
      status: { phase: "Running", conditions: [{ type: "Ready", status: "True" }] },
    },
  ]);
});
afterAll(() => cluster.close());
beforeEach(async () => {
  events = [];
  dir = await mkdtemp(join(tmpdir(), "shipside-mount-"));
  await writeFile(join(dir, "hosts"), "");
});
afterEach(() => rm(dir, { recursive: true }));

/** A session whose volume is a driver's that is asked, when it closes, what is still there. */
async function openWith(options: Partial<SessionOptions>, onClose: () => Promise<void> = async () => {}) {
  const drive: VolumeDriver = {
    name: "drive",
    unavailable: async () => undefined,
    async mount({ localPath }) {
      events.push("mounted");
      const close = async (): Promise<void> => {
        await onClose();
        events.push("unmounted");
      };
      return { localPath, close, [Symbol.asyncDispose]: close };
    },
  };
  const plugin = definePlugin({
    name: "test",
    volumeDrivers: [drive],
    hooks: {
      tunnelOpened: () => void events.push("tunnels opened"),
      tunnelClosed: () => void events.push("tunnels closed"),
    },
  });
  const host = createSessionHost({
    stateDir: join(dir, "state"),
    hosts: { path: join(dir, "hosts") },
    pool: { cidr: "127.119.0.0/16" },
    plugins: [plugin],
  });
  const told: SessionEvent[] = [];
  const { session } = await host.open(
    {
      ...{ kubeconfig: cluster.kubeconfigPath, namespace, workload: "pod/core" },
      mount: { dir: join(dir, "root"), driver: "drive", from: "running" },
      ...options,
    },
    { onEvent: (event) => told.push(event) },
  );
  return { host, session, told };
}

const notices = (told: readonly SessionEvent[]): string[] =>
  told.flatMap((event) => (event.step === "notice" ? [event.message] : []));
const hosts = (): Promise<string> => readFile(join(dir, "hosts"), "utf8");

test("volumes go before the tunnels and the names: what is mounted may need them", async () => {
  let during = "";
  const { host, session } = await openWith({}, async () => {
    const [address, port] = session.address("leaf", 3010).split(":");
    const socket = connect(Number(port), address!);
    await once(socket, "connect");
    socket.destroy();
    during = await hosts();
  });
  await host.close();
  expect(during).toContain(" leaf.sample ");
  expect(events).toEqual(["tunnels opened", "mounted", "unmounted", "tunnels closed"]);
  expect(await hosts()).toBe("");
});

test.runIf(process.platform === "linux")(
  "one in which somebody works is ended by force alone, and who that is, is said",
  async () => {
    const { host, session, told } = await openWith({ kind: "mount" });
    const cwd = join(dir, "root/work");
    const worker = spawn("sleep", ["60"], { cwd, stdio: "ignore" });
    try {
      await once(worker, "spawn");
      const busy = { code: "VOLUMES_BUSY", message: `in use: ${cwd} by sleep (${worker.pid})` };
      await expect(host.end(session.id)).rejects.toMatchObject(busy);
      expect(events).toEqual(["mounted"]);
      await host.end(session.id, { force: true });
      expect(told).toContainEqual({ step: "warning", error: expect.objectContaining(busy) });
      expect(events).toEqual(["mounted", "unmounted"]);
    } finally {
      worker.kill();
      await host.close();
    }
  },
);

test("the API server has its name in the cluster, an address here and a certificate that fits", async () => {
  const { host, session } = await openWith({ also: ["default"] });
  const env = Object.fromEntries(session.env.map(({ name, value }) => [name, value]));
  expect(env["KUBERNETES_SERVICE_HOST"]).toBe("kubernetes.default.svc");
  expect(env["KUBERNETES_SERVICE_PORT"]).toMatch(/^(443|6443)$/);
  const lines = (await hosts()).split("\n").filter((line) => line.includes(" kubernetes.default.svc"));
  expect(lines).toEqual([
    expect.stringMatching(
      /^127\.119\.[\d.]+ kubernetes\.default kubernetes\.default\.svc kubernetes\.default\.svc\.cluster\.local #/,
    ),
  ]);
  cluster.addUser({ name: "client", groups: ["system:masters"], token: "of-a-client" });
  const asked = secureRequest({
    ...{ host: lines[0]!.split(" ")[0], port: env["KUBERNETES_SERVICE_PORT"], path: "/version" },
    headers: { authorization: "Bearer of-a-client" },
    ...{ servername: env["KUBERNETES_SERVICE_HOST"], ca: cluster.ca, agent: false },
  });
  asked.end();
  const [answer] = await once(asked, "response");
  expect(JSON.parse(await text(answer)).gitVersion).toContain("shipside");
  await host.close();
  expect(await hosts()).toBe("");
});

test("behind a proxy it is reached through a relay, and where none may be not at all; both are said", async () => {
  // As `kubectl proxy` is one: without a certificate, and with credentials of its own.
  cluster.addUser({ name: "proxy", groups: ["system:masters"], token: "of-the-proxy" });
  const proxy = createServer((asked, answer) => {
    const url = new URL(asked.url!, cluster.server);
    const headers = { ...asked.headers, authorization: "Bearer of-the-proxy", host: url.host };
    const onward = secureRequest(url, { method: asked.method!, headers, ca: cluster.ca, agent: false }, (back) => {
      answer.writeHead(back.statusCode!, back.headers);
      back.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  try {
    const server = `http://127.0.0.1:${(proxy.address() as { port: number }).port}`;
    const kubeconfig = join(dir, "kubeconfig");
    const contexts = [{ name: "proxied", context: { cluster: "proxied", user: "nobody" } }];
    const clusters = [{ name: "proxied", cluster: { server } }];
    await writeFile(
      kubeconfig,
      JSON.stringify({ "current-context": "proxied", contexts, clusters, users: [{ name: "nobody", user: {} }] }),
    );
    const by = await openWith({ kubeconfig });
    expect(notices(by.told)).toContainEqual(
      expect.stringContaining(`${server} doesn't answer by that name; it is reached through a relay`),
    );
    expect(await hosts()).toContain("kubernetes.default.svc ");
    await by.host.close();
    const without = await openWith({ kubeconfig, via: "port-forward" });
    expect(notices(without.told)).toContainEqual(expect.stringContaining("can't be reached without a relay"));
    expect(without.session.env.map(({ value }) => value)).not.toContain("kubernetes.default.svc");
    expect(await hosts()).not.toContain("kubernetes.default.svc");
    await without.host.close();
  } finally {
    proxy.closeAllConnections();
    proxy.close();
  }
});
