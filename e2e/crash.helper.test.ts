import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import { type Cluster, connectCluster, DEPLOYMENTS, NAMESPACES, SERVICES } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { untilSaid } from "./cli.harness.ts";
import { canMakeMachines, kill, type Machine, type MachineState, newMachine } from "./crash.harness.ts";

const NAMESPACE = "helped";
const POLL = { timeout: 20_000, interval: 200 };
const closer = createCloser();
let cluster: Cluster;
let adminKubeconfig: string;
let machine: Machine;
let before: MachineState;
let hostsBefore: string;

beforeAll(async () => {
  adminKubeconfig = closer.use(await startCluster({ node: false, controllers: false })).kubeconfigPath;
  cluster = closer.use(await connectCluster({ kubeconfig: adminKubeconfig, namespace: NAMESPACE }));
  await cluster.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  // A port that only root may open: the helper's.
  await cluster.create(SERVICES, { metadata: { name: "web" }, spec: { selector: { app: "web" }, ports: [{ port: 80 }] } });
  const containers = [{ name: "main", image: "node", env: [{ name: "GREETING", value: "hello" }] }];
  const template = { metadata: { labels: { app: "web" } }, spec: { containers } };
  await cluster.create(DEPLOYMENTS, {
    metadata: { name: "web" },
    spec: { selector: { matchLabels: { app: "web" } }, template },
  } as never);
}, 60_000);
afterAll(() => closer.close());

const kubeconfig = (): string => join(machine.home, "kubeconfig");
const envFile = (): string => join(machine.home, "mine.env");
const hosts = (): Promise<string> => readFile(machine.inside("/etc/hosts"), "utf8");
const possible = canMakeMachines && process.getuid?.() === 0;

beforeEach(async () => {
  if (!possible) return;
  machine = await newMachine({ user: true });
  await copyFile(adminKubeconfig, kubeconfig());
  await machine.shell(`chown 4242:4242 ${kubeconfig()}; echo MINE=1 > ${envFile()}; chown 4242:4242 ${envFile()}`, {
    asRoot: true,
  });
  hostsBefore = await hosts();
  before = await machine.state();
}, 120_000);
afterEach(async () => {
  await machine?.[Symbol.asyncDispose]();
});

/** Helper and daemon run, with a session that has names in the hosts file, a low port, and an env file. */
async function opened(): Promise<{ pid: number; helper: number }> {
  const started = await machine.run(["start", "--json"], { asRoot: true });
  expect(started).toMatchObject({ code: 0 });
  const open = await machine.run(["teleport", "deploy/web", "-n", NAMESPACE, "-k", kubeconfig(), "-f", envFile(), "--json"]);
  expect(open).toMatchObject({ code: 0 });
  expect(await hosts()).toMatch(/127\.\S+ web /);
  const { listeners } = await machine.state();
  expect(listeners).toEqual([expect.stringMatching(/:80$/)]);
  return JSON.parse(started.stdout) as { pid: number; helper: number };
}

const expectAsBefore = async (): Promise<void> => {
  await expect.poll(() => machine.state(), POLL).toEqual(before);
};

describe.runIf(possible)("with the helper", { timeout: 120_000 }, () => {
  test("the daemon is killed: the helper undoes what is its own at once, and `clean` the rest", async () => {
    const { pid } = await opened();
    kill(pid);
    await expect.poll(hosts, POLL).toBe(hostsBefore);
    expect(await machine.run(["clean"])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`removed env file ${envFile()}`),
    });
    await expectAsBefore();
  });

  test("the helper is killed: the daemon goes on, and with it gone too the next `start` puts everything back", async () => {
    const { pid, helper } = await opened();
    kill(helper);
    await expect.poll(async () => (await machine.run(["status"])).stdout, POLL).toContain("helper");
    expect(await machine.run(["session", "list", "--json"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("deployment/web"),
    });
    kill(pid);
    expect(await hosts()).not.toBe(hostsBefore);
    expect(await machine.run(["start"], { asRoot: true })).toMatchObject({ code: 0 });
    expect(await hosts()).toBe(hostsBefore);
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });

  test("helper, daemon and command line at once: the next `start` puts everything back", async () => {
    await opened();
    const child = machine.start([
      "teleport",
      "namespace",
      NAMESPACE,
      "-k",
      kubeconfig(),
      "--",
      "sh",
      "-c",
      "echo began; exec sleep 304",
    ]);
    await untilSaid(child, /^began$/m);
    await machine.killAll();
    expect(await machine.run(["start"], { asRoot: true })).toMatchObject({ code: 0 });
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });

  test("a reboot: the next `start` puts everything back; before it `clean` says that root is needed", async () => {
    await opened();
    await machine.reboot();
    const cleaned = await machine.run(["clean"]);
    expect([cleaned.code, cleaned.stderr]).toEqual([
      10,
      expect.stringContaining("still there: what a helper that was killed had made"),
    ]);
    expect((await machine.state()).files[envFile()]).toBe(before.files[envFile()]);
    expect(await machine.run(["start"], { asRoot: true })).toMatchObject({ code: 0 });
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });
});
