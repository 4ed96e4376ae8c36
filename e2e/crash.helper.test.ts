import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { untilSaid } from "./cli.harness.ts";
import { leaveOn, makeWorkload, openKeptCluster } from "./crash.fixture.ts";
import { clusterState, kill, type Machine, type MachineState, newMachine } from "./crash.harness.ts";
import { canMount } from "./mount-namespace.ts";

const NAMESPACE = "helped";
const POLL = { timeout: 20_000, interval: 200 };
const closer = createCloser();
let cluster: Cluster;
let adminKubeconfig: string;
let machine: Machine;
let before: { machine: MachineState; cluster: Record<string, unknown> };
let hostsBefore: string;

beforeAll(async () => {
  const kept = closer.use(await openKeptCluster(NAMESPACE));
  ({ cluster, kubeconfig: adminKubeconfig } = kept);
  // A port that only root may open: the helper's.
  await makeWorkload(cluster, "web", 80);
}, 60_000);
afterAll(() => closer.close());

const stateNow = async () => ({ machine: await machine.state(), cluster: await clusterState(cluster, NAMESPACE) });
const kubeconfig = (): string => join(machine.home, "kubeconfig");
const envFile = (): string => join(machine.home, "mine.env");
const hosts = (): Promise<string> => readFile(machine.inside("/etc/hosts"), "utf8");
const possible = canMount && process.getuid?.() === 0;

beforeEach(async () => {
  if (!possible) return;
  machine = await newMachine({ user: true });
  await copyFile(adminKubeconfig, kubeconfig());
  await machine.shell(
    `chown 4242:4242 ${kubeconfig()}; cd ${machine.home}; echo MINE=1 > mine.env; echo 127.0.0.1 localhost > hosts; chown 4242:4242 mine.env hosts`,
    {
      asRoot: true,
    },
  );
  hostsBefore = await hosts();
  before = await stateNow();
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

/** Somebody else of the same user's, who has left one of each kind of residue, in the cluster too. */
const leaver = () =>
  leaveOn(machine, {
    ...{ folder: machine.dirs.tmp, hosts: join(machine.home, "hosts"), mount: false },
    ...{ kubeconfig: kubeconfig(), namespace: NAMESPACE, name: "web" },
  });

const expectAsBefore = async (): Promise<void> => {
  await expect.poll(stateNow, POLL).toEqual(before);
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

  test("the helper is killed: the daemon goes on, which is told truly; with it gone too the next `start` puts everything back", async () => {
    const { pid, helper } = await opened();
    expect(await machine.run(["status"])).toMatchObject({ stdout: expect.stringContaining(`runs as root, pid ${helper}`) });
    kill(helper);
    const status = () => machine.run(["status"]);
    await expect
      .poll(status, POLL)
      .toMatchObject({ code: 4, stdout: expect.stringContaining(`its helper (pid ${helper}) has ended`) });
    const doctor = await machine.run(["doctor", "-k", kubeconfig(), "-n", NAMESPACE]);
    expect([doctor.code, doctor.stdout]).toEqual([12, expect.stringContaining(`its helper (pid ${helper}) has ended`)]);
    expect(await machine.run(["session", "list", "--json"])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("deployment/web"),
    });
    // What a session that is open has is no residue: nobody is asked for root, and it stays.
    expect(await machine.run(["clean"])).toMatchObject({ code: 0, stderr: expect.stringContaining("nothing was left behind") });
    kill(pid);
    expect(await hosts()).not.toBe(hostsBefore);
    expect(await machine.run(["start"], { asRoot: true })).toMatchObject({ code: 0 });
    expect(await hosts()).toBe(hostsBefore);
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });

  test("helper and daemon: what is left is told for as long as it is there, and `clean` by root puts everything back", async () => {
    const { pid, helper } = await opened();
    kill(helper);
    kill(pid);
    // The user's part can be undone by the user; of root's it is said that it isn't.
    expect(await machine.run(["clean"])).toMatchObject({
      code: 10,
      stderr: expect.stringContaining("still there: what a helper that was killed had made (lines of the hosts file)"),
    });
    expect((await machine.state()).files[envFile()]).toBe(before.machine.files[envFile()]);
    expect(await machine.run(["status"])).toMatchObject({ code: 4, stdout: expect.stringContaining("lines of the hosts file") });
    expect(await machine.run(["doctor", "-k", kubeconfig(), "-n", NAMESPACE])).toMatchObject({
      stdout: expect.stringMatching(/a shipside that is gone left .*lines of the hosts file/),
    });
    expect(await machine.run(["clean"], { asRoot: true })).toMatchObject({ code: 0 });
    expect(await machine.run(["clean"])).toMatchObject({ code: 0, stderr: expect.stringContaining("nothing was left behind") });
    expect(await machine.run(["status"])).toMatchObject({ code: 0, stdout: expect.stringContaining("nothing was left behind") });
    await expectAsBefore();
  });

  test("the command line whose session the daemon has: names and port 80 go with it, helper and daemon stay", async () => {
    expect(await machine.run(["start"], { asRoot: true })).toMatchObject({ code: 0 });
    const started = await stateNow();
    const words = ["teleport", "deploy/web", "-n", NAMESPACE, "-k", kubeconfig(), "-f", envFile()];
    const child = machine.start([...words, "--", "sh", "-c", "echo began; exec sleep 305"]);
    await untilSaid(child, /^began$/m);
    expect(await hosts()).toMatch(/127\.\S+ web /);
    kill(child.pid!);
    await expect.poll(hosts, POLL).toBe(hostsBefore);
    await expect.poll(async () => (await machine.state()).listeners, POLL).toEqual([]);
    expect(await machine.run(["clean"])).toMatchObject({ code: 0, stderr: expect.stringContaining("removed process sh") });
    await expect.poll(stateNow, POLL).toEqual(started);
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });

  test("helper, daemon, command line and who made objects in the cluster, all at once: the next `start` puts everything back", async () => {
    await opened();
    await leaver();
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
    expect((await stateNow()).cluster).not.toEqual(before.cluster);
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
    expect((await machine.state()).files[envFile()]).toBe(before.machine.files[envFile()]);
    expect(await machine.run(["start"], { asRoot: true })).toMatchObject({ code: 0 });
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });
});
