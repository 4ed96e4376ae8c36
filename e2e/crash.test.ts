import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import { type Cluster, CONFIG_MAPS } from "@shipside/kube";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type RunOptions, untilSaid } from "./cli.harness.ts";
import { leaveOn, makeWorkload, openKeptCluster } from "./crash.fixture.ts";
import { clusterState, kill, type Machine, type MachineState, newMachine } from "./crash.harness.ts";
import { canMount } from "./mount-namespace.ts";

const NAMESPACE = "crash";
const PORT = 43122;
const POLL = { timeout: 15_000, interval: 200 };
const closer = createCloser();
let kubeconfig: string;
let cluster: Cluster;
let machine: Machine;
let before: State;

interface State {
  machine: MachineState;
  cluster: Record<string, unknown>;
}
const stateNow = async (): Promise<State> => ({ machine: await machine.state(), cluster: await clusterState(cluster, NAMESPACE) });

beforeAll(async () => {
  ({ cluster, kubeconfig } = closer.use(await openKeptCluster(NAMESPACE)));
  await cluster.create(CONFIG_MAPS, { metadata: { name: "config" }, data: { GREETING: "hello" } });
  await makeWorkload(cluster, "web", PORT, { name: "main", image: "node", envFrom: [{ configMapRef: { name: "config" } }] });
}, 60_000);
afterAll(() => closer.close());

beforeEach(async () => {
  if (!canMount) return;
  machine = await newMachine();
  await writeFile(join(machine.home, "mine.env"), "MINE=1\n");
  before = await stateNow();
}, 120_000);
afterEach(async () => {
  await machine?.[Symbol.asyncDispose]();
});

const envFile = (): string => join(machine.home, "mine.env");
const teleport = (...more: string[]): string[] => ["teleport", "deploy/web", "-n", NAMESPACE, "-k", kubeconfig, ...more];
const hosts = (): Promise<string> => readFile(machine.inside("/etc/hosts"), "utf8");
const started = async (args: readonly string[], options?: RunOptions, said = /ready in/) => {
  const child = machine.start(args, options);
  await untilSaid(child, said);
  return child;
};
/** A session in the foreground, with names in the hosts file and an env file over one that was there. */
const inForeground = () => started(teleport("-f", envFile()));

/** A program that has left one of each kind of residue. */
const leaver = () => leaveOn(machine, { folder: machine.dirs.tmp, kubeconfig, namespace: NAMESPACE, name: "web", mount: true });

/** Everything that was made is to be seen now: what is not there can't be proved gone. */
async function expectMade(): Promise<void> {
  expect(await hosts()).toMatch(/127\.7\d\.\d+\.\d+ web /);
  const now = await stateNow();
  expect(now.machine.listeners.length).toBeGreaterThan(0);
  expect(now.machine.files[envFile()]).not.toBe(before.machine.files[envFile()]);
}

async function expectAsBefore(): Promise<void> {
  await expect.poll(stateNow, POLL).toEqual(before);
}

async function expectClean(...args: string[]): Promise<void> {
  const cleaned = await machine.run(["clean", ...args]);
  expect(cleaned).toMatchObject({ code: 0 });
  await expectAsBefore();
  const again = await machine.run(["clean", "--json"]);
  expect([again.code, JSON.parse(again.stdout)]).toEqual([0, { removed: [], gone: [], forgotten: [], left: [] }]);
}

describe.runIf(canMount)("killed", { timeout: 120_000 }, () => {
  test("the daemon: the next `start` puts everything back", async () => {
    const { pid } = JSON.parse((await machine.run(["start", "--json"])).stdout);
    await machine.run(teleport("-f", envFile()));
    await expectMade();
    kill(pid);
    expect(await machine.run(["start"])).toMatchObject({ code: 0, stderr: expect.stringContaining("undid") });
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    await expectAsBefore();
  });

  test("the command line in the foreground: `clean` puts everything back, and says what", async () => {
    const child = await inForeground();
    await expectMade();
    kill(child.pid!);
    await once(child, "exit");
    const { code, stderr } = await machine.run(["clean"]);
    expect([code, stderr]).toEqual([
      0,
      expect.stringMatching(/removed env file .*mine\.env\n[\s\S]*removed names of shipside-\d+-\w+ in the hosts file/),
    ]);
    await expectClean();
  });

  test("the command line with a command: the command doesn't outlive it", async () => {
    const child = await started(teleport("--", "sh", "-c", "echo began; exec sleep 301"), {}, /^began$/m);
    kill(child.pid!);
    await expect.poll(async () => (await machine.state()).processes, POLL).toContain("sleep 301");
    await expectClean();
  });

  test("the command line whose session the daemon has: the daemon undoes it, and `clean` ends the command", async () => {
    await machine.run(["start"]);
    const child = await started(teleport("-f", envFile(), "--", "sh", "-c", "echo began; exec sleep 302"), {}, /^began$/m);
    kill(child.pid!);
    await expect.poll(async () => (await machine.state()).files[envFile()], POLL).toBe(before.machine.files[envFile()]);
    expect(await machine.run(["clean"])).toMatchObject({ code: 0, stderr: expect.stringContaining("removed process sh") });
    await machine.run(["stop"]);
    await expectAsBefore();
  });

  test("everything at once, with all kinds of residue here and in the cluster: the next `start` puts it back", async () => {
    await machine.run(["start"]);
    await machine.run(teleport("-f", envFile()));
    await started(teleport("--foreground", "--", "sh", "-c", "echo began; exec sleep 303"), {}, /^began$/m);
    await leaver();
    await expectMade();
    const made = await stateNow();
    expect(made.machine.mounts).not.toEqual(before.machine.mounts);
    expect(made.cluster).not.toEqual(before.cluster);
    await machine.killAll();
    expect(await machine.run(["start"])).toMatchObject({ code: 0 });
    await machine.run(["stop"]);
    await expectAsBefore();
  });

  test("everything at once, then `clean`: what is in the cluster waits for a yes", async () => {
    await leaver();
    await machine.killAll();
    const asked = await machine.run(["clean"]);
    expect([asked.code, asked.stderr]).toEqual([
      10,
      expect.stringMatching(/change of service crash\/web in context [\s\S]*configmap crash\/relay-web/),
    ]);
    expect((await stateNow()).cluster).not.toEqual(before.cluster);
    expect((await machine.state()).files).toMatchObject(before.machine.files);
    await expectClean("--yes");
  });

  test("a reboot: the next `clean` puts everything back", async () => {
    await machine.run(["start"]);
    await machine.run(teleport("-f", envFile()));
    await leaver();
    await expectMade();
    await machine.reboot();
    // Mounts do not outlive a boot.
    await machine.shell(`umount ${join(machine.dirs.tmp, "data")}`);
    await expectClean("--yes");
  });
});

describe.runIf(canMount)("meanwhile the hosts file", { timeout: 120_000 }, () => {
  /** A session is open, `change` happens, it is killed. */
  const killedAfter = async (change: string): Promise<void> => {
    const child = await inForeground();
    const changed = await machine.shell(`set -e; cd /etc; ${change}`);
    expect(changed).toMatchObject({ code: 0 });
    kill(child.pid!);
    await once(child, "exit");
  };

  test("was edited by a person, outside and inside of our lines: the edits stay", async () => {
    const original = await hosts();
    await killedAfter(`sed -i '1i 10.0.0.2 first' hosts; sed -i '/>>> shipside/a 10.0.0.3 inside' hosts`);
    expect(await machine.run(["clean"])).toMatchObject({ code: 0 });
    expect(await hosts()).toBe(`10.0.0.2 first\n${original.replace("10.0.0.1 printer", "10.0.0.3 inside\n10.0.0.1 printer")}`);
  });

  test("was written anew by a program that knows nothing of us: that stays", async () => {
    await killedAfter("printf '127.0.0.1 localhost\\n' > hosts.new; mv hosts.new hosts");
    expect(await machine.run(["clean"])).toMatchObject({ code: 0 });
    expect(await hosts()).toBe("127.0.0.1 localhost\n");
  });

  test("was replaced by a symbolic link: the link stays, its target is as before", async () => {
    const original = await hosts();
    await killedAfter("mv hosts hosts.real; ln -s hosts.real hosts");
    expect(await machine.run(["clean"])).toMatchObject({ code: 0 });
    expect(await hosts()).toBe(original);
    expect(await machine.shell("readlink /etc/hosts")).toMatchObject({ stdout: "hosts.real\n" });
  });

  test("was deleted: there is nothing to undo in it, and none is made", async () => {
    await killedAfter("rm hosts");
    expect(await machine.run(["clean"])).toMatchObject({ code: 0 });
    expect(await machine.shell("test ! -e /etc/hosts")).toMatchObject({ code: 0 });
  });

  test("was made immutable: the rest is undone, this is said and kept for the next try", async ({ skip }) => {
    if ((await machine.shell("chattr +i /etc/passwd && chattr -i /etc/passwd")).code !== 0) skip();
    await killedAfter("chattr +i hosts");
    try {
      const { code, stderr } = await machine.run(["clean"]);
      expect([code, stderr]).toEqual([
        10,
        expect.stringMatching(/still there: names of shipside-.*: \/etc\/hosts can.t be changed by anybody/),
      ]);
      expect((await machine.state()).files[envFile()]).toBe(before.machine.files[envFile()]);
    } finally {
      await machine.shell("chattr -i /etc/hosts");
    }
    await expectClean();
  });
});

describe.runIf(canMount)("a full disk", { timeout: 120_000 }, () => {
  const tmpfs = (path: string): string =>
    `set -e; cp -a ${path} /tmp/kept-$$; mount -t tmpfs -o size=4m,mode=700 none ${path}; cp -a /tmp/kept-$$/. ${path}; rm -rf /tmp/kept-$$`;
  const fill = (path: string): string =>
    `head -c 8m /dev/zero > ${path}/filler 2>/dev/null; head -c 8m /dev/zero >> ${path}/filler 2>/dev/null; true`;

  test("under the journal: nothing is begun", async () => {
    expect(await machine.shell(tmpfs(machine.dirs.state))).toMatchObject({ code: 0 });
    before = await stateNow();
    await machine.shell(fill(machine.dirs.state));
    const { code, stderr } = await machine.run(teleport("-f", envFile(), "--", "true"));
    expect([code, stderr]).toEqual([7, expect.stringContaining("error[")]);
    await machine.shell(`rm ${machine.dirs.state}/filler`);
    await expectAsBefore();
  });

  test("under the journal of a session that is open: it closes all the same", async () => {
    expect(await machine.shell(tmpfs(machine.dirs.state))).toMatchObject({ code: 0 });
    before = await stateNow();
    const child = await inForeground();
    await machine.shell(fill(machine.dirs.state));
    child.kill("SIGINT");
    expect(await once(child, "exit")).toEqual([130, null]);
    await machine.shell(`rm ${machine.dirs.state}/filler`);
    await expectAsBefore();
  });

  test("under the journal of a session that was killed: `clean` undoes it all the same", async () => {
    expect(await machine.shell(tmpfs(machine.dirs.state))).toMatchObject({ code: 0 });
    before = await stateNow();
    const child = await inForeground();
    await machine.shell(fill(machine.dirs.state));
    kill(child.pid!);
    await once(child, "exit");
    expect(await machine.run(["clean"])).toMatchObject({ code: 0 });
    await machine.shell(`rm ${machine.dirs.state}/filler`);
    await expectClean();
  });

  test("under the hosts file: what can't be written is said, and goes when there is room", async () => {
    expect(await machine.shell(tmpfs("/etc"))).toMatchObject({ code: 0 });
    before = await stateNow();
    const child = await inForeground();
    await machine.shell(fill("/etc"));
    kill(child.pid!);
    await once(child, "exit");
    const { code, stderr } = await machine.run(["clean"]);
    expect([code, stderr]).toEqual([10, expect.stringContaining("no room")]);
    await machine.shell("rm /etc/filler");
    await expectClean();
  });
});
