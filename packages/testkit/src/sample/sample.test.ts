import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { get } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EmbeddedCluster, startCluster } from "../cluster.ts";
import { text } from "../node/fixtures/bed.ts";
import { availableModes } from "../node/fixtures/modes.ts";
import type { KubeJson } from "../store.ts";
import { SAMPLE_NAMESPACE, sampleCorePath, sampleManifests } from "./manifests.ts";

const modes = await availableModes();
const apps = ["frontend", "core", "leaf", "database"];

interface Call {
  to: string;
  ok: boolean;
  answer?: unknown;
  error?: string;
}

describe.each(modes)("the sample application with %s", (network) => {
  let cluster: EmbeddedCluster;
  beforeAll(async () => {
    cluster = await startCluster({ node: { network, restartBackoff: { baseMs: 100, maxMs: 1_000 } } });
    await cluster.apply(sampleManifests());
  });
  afterAll(() => cluster.close());

  /** The ready pod of one of its parts. */
  function ready(app: string): KubeJson | undefined {
    return cluster.store
      .list("pods", SAMPLE_NAMESPACE)
      .find(
        (pod) =>
          pod.metadata.labels?.["app.kubernetes.io/name"] === app &&
          !pod.metadata.deletionTimestamp &&
          pod["status"].conditions?.some((c: { type: string; status: string }) => c.type === "Ready" && c.status === "True"),
      );
  }
  async function ask(app: string, port: number, path = "/"): Promise<string> {
    const socket = await cluster.node!.dialPod(SAMPLE_NAMESPACE, ready(app)!.metadata.name, port);
    return new Promise((resolve, reject) => {
      get({ createConnection: () => socket, path, headers: { connection: "close" } }, (response) => resolve(text(response))).on(
        "error",
        reject,
      );
    });
  }
  async function database(command: string): Promise<string> {
    const socket = await cluster.node!.dialPod(SAMPLE_NAMESPACE, ready("database")!.metadata.name, 6379);
    socket.write(`${command}\r\nQUIT\r\n`);
    return (await text(socket)).replace(/\+OK\r\n$/, "");
  }

  it("becomes ready as it is applied", async () => {
    await expect.poll(() => apps.map((app) => Boolean(ready(app))), { timeout: 15_000 }).toEqual([true, true, true, true]);
  });

  it("answers through all its parts", async () => {
    // The proxy takes a service up when its first pod is ready, which the pods are told of a moment earlier.
    const whole = async (): Promise<boolean> => JSON.parse(await ask("frontend", 3000)).core.ok;
    await expect.poll(whole, { timeout: 5_000 }).toBe(true);
    const { service, core } = JSON.parse(await ask("frontend", 3000));
    expect(service).toBe("frontend");
    expect(core).toMatchObject({ service: "core", version: "cluster", greeting: "Hello from the cluster", namespace: "sample" });
    expect(core.banner).toBe("core of sample\n  serves \"orders\" & 'invoices'\n  for $(NOBODY) in particular");
    expect(core.secretLength).toBeGreaterThan(10);
    expect(core.calls.map((call: Call) => call.to)).toEqual([
      "http://leaf:3010",
      "database INCR visits",
      "database.sample.svc.cluster.local:6379 PING",
    ]);
    expect(core.calls[0].answer).toMatchObject({ service: "leaf" });
    expect(core.calls[2].answer).toBe("PONG");
  });

  it("keeps what the database was told on its volume, through a restart", async () => {
    await expect.poll(() => Boolean(ready("database"))).toBe(true);
    expect(await database("SET color blue")).toBe("+OK\r\n");
    expect(await database("GET color")).toBe("$4\r\nblue\r\n");
    expect(await database("INCR color")).toMatch(/^-ERR value is not an integer/);
    expect(await database("KEYS col*")).toBe("*1\r\n$5\r\ncolor\r\n");
    const pod = ready("database")!;
    const restarts: number = pod["status"].containerStatuses[0].restartCount;
    expect(pod.metadata.name).toBe("database-0");
    await cluster.node!.killPod(SAMPLE_NAMESPACE, "database-0");
    await expect
      .poll(() => ready("database")?.["status"].containerStatuses[0].restartCount, { timeout: 10_000 })
      .toBe(restarts + 1);
    expect(await database("GET color")).toBe("$4\r\nblue\r\n");
    expect(await database("DEL color")).toBe(":1\r\n");
    expect(await database("GET color")).toBe("$-1\r\n");
    expect(await database("nonsense")).toBe("-ERR unknown command 'nonsense'\r\n");
  });
});

describe("the local version of core", () => {
  it("serves on PORT of this machine alone, and says what it could not reach", async () => {
    const port = await freePort();
    const env = { PORT: String(port), GREETING: "hi", LEAF_URL: "http://127.0.0.1:1", DATABASE_URL: "127.0.0.1:1" };
    const child: ChildProcess = spawn(process.execPath, [sampleCorePath()], { env, stdio: ["ignore", "pipe", "inherit"] });
    try {
      await once(child.stdout!, "data");
      const response = await fetch(`http://127.0.0.1:${port}/`);
      const answer = (await response.json()) as { calls: Call[] };
      expect(answer).toMatchObject({ version: "local", greeting: "hi", ok: false });
      expect(answer.calls[0]).toMatchObject({
        to: "http://127.0.0.1:1",
        ok: false,
        error: expect.stringContaining("ECONNREFUSED"),
      });
      expect(answer.calls[2]).toMatchObject({ to: "127.0.0.1:1 PING", ok: false });
      child.kill("SIGTERM");
      expect(await once(child, "exit")).toEqual([0, null]);
    } finally {
      child.kill("SIGKILL");
    }
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
