import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codedErrors, type ListenerFactory } from "@shipside/core";
import { type EmbeddedCluster, SAMPLE_NAMESPACE, sampleManifests, startCluster } from "@shipside/testkit";
import { localListeners } from "@shipside/tunnel";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createSessionHost, type HeldSession, type SessionHost } from "./host.ts";
import type { TunnelProbe } from "./probe.ts";
import type { ProbeResult } from "./session-info.ts";

let cluster: EmbeddedCluster;
let dir: string;
let host: SessionHost;
let session: HeldSession["session"];
/** Whose ports can't be had, and what names resolve to. */
let held: ReadonlySet<number>;
let lies: Map<string, string>;

/** A service whose pods are there and don't listen on that port. */
const deaf = {
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "deaf", namespace: SAMPLE_NAMESPACE },
  spec: { selector: { "app.kubernetes.io/name": "leaf" }, ports: [{ port: 4000, targetPort: 4999 }] },
};

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.apply([...sampleManifests(), deaf]);
  const ready = (): number =>
    cluster.store
      .list("pods", SAMPLE_NAMESPACE)
      .filter(({ status }) =>
        status?.conditions?.some((each: { type: string; status: string }) => each.type === "Ready" && each.status === "True"),
      ).length;
  await vi.waitUntil(() => ready() === 4, { timeout: 20_000, interval: 50 });
});
afterAll(() => cluster.close());

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-probe-"));
  await writeFile(join(dir, "hosts"), "");
  held = new Set();
  lies = new Map();
  const local = localListeners();
  const inUse = codedErrors({ LISTEN_IN_USE: "" });
  const listeners: ListenerFactory = {
    ...local,
    name: "test",
    listen: async (request) => {
      if (held.has(request.port)) throw inUse("LISTEN_IN_USE", `${request.address}:${request.port} is held by nginx`);
      return local.listen(request);
    },
  };
  host = createSessionHost({
    stateDir: join(dir, "state"),
    hosts: { path: join(dir, "hosts") },
    pool: { cidr: "127.121.0.0/16" },
    listeners,
    resolve: async (name) => {
      const found = session.hostsEntries().find(({ names }) => names.includes(name));
      if (!found) throw new Error(`no ${name}`);
      return [lies.get(name) ?? found.address];
    },
  });
});
afterEach(async () => {
  await host.close();
  await rm(dir, { recursive: true });
});

const open = async (): Promise<void> => {
  const opened = await host.open({
    kubeconfig: cluster.kubeconfigPath,
    namespace: SAMPLE_NAMESPACE,
    services: ["leaf", "core", "frontend", "deaf"],
  });
  session = opened.session;
};
const probesOf = ({ tunnels }: ProbeResult): Record<string, TunnelProbe> =>
  Object.fromEntries(tunnels.probes.map((probe) => [probe.service.split(".")[0], probe]));

test("each step is taken and timed, and what is broken is named where it breaks", async () => {
  held = new Set([3000]);
  await open();
  lies.set("core.sample", "10.0.0.1");
  let result = await session.probe();
  // A busy machine can be late with the one or the other: that is said as such, and is not what this test is about.
  const late = (): boolean => JSON.stringify(result).includes("PROBE_TIMEOUT");
  for (let again = 0; late() && again < 10; again++) result = await session.probe();
  expect(result).toMatchObject({ id: session.id, answeredMs: expect.any(Number), tunnels: { of: 4, asked: 4 } });
  expect(result.transport).toMatchObject({ carrier: "spdy", connections: expect.any(Number) });
  const { leaf, core, frontend, deaf: silent } = probesOf(result);
  expect(leaf).toMatchObject({
    service: "leaf.sample",
    port: 3010,
    address: session.address("leaf"),
    pod: { namespace: SAMPLE_NAMESPACE },
    ms: { name: expect.any(Number), listener: expect.any(Number), endpoint: expect.any(Number), pod: expect.any(Number) },
  });
  expect(leaf?.broken).toBeUndefined();
  expect(core?.broken).toMatchObject({ step: "name", error: { code: "PROBE_NAME", message: expect.stringContaining("10.0.0.1") } });
  expect(frontend?.broken).toMatchObject({
    step: "listener",
    error: { code: "PROBE_LISTENER", message: expect.stringContaining("nginx") },
  });
  expect(silent?.broken).toMatchObject({ step: "pod", error: { code: "DIAL_REFUSED" } });
  expect(silent?.ms).not.toHaveProperty("pod");
}, 60_000);

test("no pod is ready", async () => {
  await open();
  const [pod] = cluster.store.list("pods", SAMPLE_NAMESPACE).filter(({ metadata }) => metadata.name.startsWith("leaf-"));
  const undo = cluster.faults.setReadiness(SAMPLE_NAMESPACE, pod!.metadata.name, false);
  try {
    const broken = async () => probesOf(await session.probe())["leaf"]?.broken;
    await expect.poll(broken, { timeout: 5_000 }).toMatchObject({ step: "endpoint", error: { code: "PROBE_NO_POD" } });
  } finally {
    undo();
  }
  await expect.poll(async () => probesOf(await session.probe())["leaf"]?.broken, { timeout: 5_000 }).toBeUndefined();
});

test.each<[how: string, breakIt: () => (() => Promise<void> | void) | Promise<() => Promise<void> | void>]>([
  [
    "gone",
    async () => {
      await cluster.stop();
      return () => cluster.start();
    },
  ],
  ["silent", () => cluster.faults.freeze()],
])("the API server is %s: said within 3 s, with what works all the same", async (_how, breakIt) => {
  await open();
  const mend = await breakIt();
  try {
    const began = performance.now();
    const result = await session.probe();
    // And some for a machine that has other things to do.
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(result).toMatchObject({ error: { code: expect.stringMatching(/^(KUBE_|PROBE_TIMEOUT)/) } });
    expect(result).not.toHaveProperty("answeredMs");
    const { leaf } = probesOf(result);
    expect(leaf?.ms).toMatchObject({ name: expect.any(Number), listener: expect.any(Number) });
    expect(leaf?.broken).toMatchObject({ step: "pod" });
  } finally {
    await mend();
  }
  await expect.poll(async () => (await session.probe()) as object, { timeout: 15_000 }).toHaveProperty("answeredMs");
});

test("a bound on how many are asked, spread over all", async () => {
  await open();
  const { tunnels } = await session.probe({ most: 2 });
  expect(tunnels).toMatchObject({ of: 4, asked: 2 });
  expect(new Set(tunnels.probes.map(({ service }) => service)).size).toBe(2);
});

test("names that only commands have, or that stand elsewhere, are not looked up", async () => {
  const other = createSessionHost({
    stateDir: join(dir, "other"),
    hosts: { path: join(dir, "more") },
    pool: { cidr: "127.122.0.0/16" },
  });
  try {
    await writeFile(join(dir, "more"), "");
    const { session: own } = await other.open({
      kubeconfig: cluster.kubeconfigPath,
      namespace: SAMPLE_NAMESPACE,
      services: ["leaf"],
    });
    const { tunnels } = await own.probe();
    expect(tunnels.namesSkipped).toMatch(/not the machine's/);
    expect(tunnels.probes[0]?.ms).not.toHaveProperty("name");
    expect(tunnels.probes[0]?.broken).toBeUndefined();
  } finally {
    await other.close();
  }
});
