import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmod, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createCloser } from "@shipside/core";
import { type Cluster, connectCluster, NAMESPACES, SERVICES } from "@shipside/kube";
import { startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { untilSaid } from "./cli.harness.ts";
import { kill, type Machine, newMachine } from "./crash.harness.ts";
import { canMount } from "./mount-namespace.ts";

const NAMESPACE = "hosts";
const closer = createCloser();
let kubeconfig: string;
let cluster: Cluster;
let machine: Machine;
let before: string;

beforeAll(async () => {
  kubeconfig = closer.use(await startCluster({ node: false, controllers: false })).kubeconfigPath;
  cluster = closer.use(await connectCluster({ kubeconfig, namespace: NAMESPACE }));
  await cluster.create(NAMESPACES, { metadata: { name: NAMESPACE } });
  await cluster.create(SERVICES, { metadata: { name: "web" }, spec: { selector: { app: "web" }, ports: [{ port: 43123 }] } });
}, 60_000);
afterAll(() => closer.close());
beforeEach(async () => {
  if (!canMount) return;
  machine = await newMachine();
  before = await hosts();
}, 120_000);
afterEach(async () => {
  await machine?.[Symbol.asyncDispose]();
});

const hosts = (): Promise<string> => readFile(machine.inside("/etc/hosts"), "latin1");
const setHosts = (text: string): Promise<void> => writeFile(machine.inside("/etc/hosts"), text, "latin1");
const original = (): Promise<string> => readFile(join(machine.home, "hosts.original"), "latin1");
const teleport = (...more: string[]): string[] => ["teleport", "namespace", NAMESPACE, "-k", kubeconfig, ...more];
async function open() {
  const child = machine.start(teleport());
  await untilSaid(child, /ready in/);
  return child;
}
async function end(child: Awaited<ReturnType<typeof open>>): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGINT");
  await exited;
}
/** What a process that is gone would have written, and whose journal is lost. */
const lost = (pid: number): string =>
  [
    `# >>> shipside:shipside-${pid}-0badcafe >>>`,
    `127.72.0.9 web # shipside:shipside-${pid}-0badcafe`,
    `# <<< shipside:shipside-${pid}-0badcafe <<<`,
    "",
  ].join("\n");
function deadPid(): number {
  return Number(execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }));
}

describe.runIf(canMount)("the hosts file", { timeout: 120_000 }, () => {
  test("a copy of it as it was is kept before the first change, and never one with our lines", async () => {
    await end(await open());
    expect([await hosts(), await original()]).toEqual([before, before]);
    // The user's own edit is part of the next copy; a crash's lines aren't.
    await setHosts(`10.0.0.4 new\n${before}`);
    const child = await open();
    expect(await original()).toBe(`10.0.0.4 new\n${before}`);
    kill(child.pid!);
    await once(child, "exit");
    expect(await hosts()).toContain("shipside");
    await end(await open());
    expect([await original(), await hosts()]).toEqual([`10.0.0.4 new\n${before}`, `10.0.0.4 new\n${before}`]);
    const elsewhere = join(machine.home, "copy");
    await machine.run(teleport("-q", "--", "true"), { env: { SHIPSIDE_HOSTS_ORIGINAL: elsewhere } });
    expect(await readFile(elsewhere, "latin1")).toBe(`10.0.0.4 new\n${before}`);
  });

  test("`hosts diff` shows what is ours, `hosts restore` takes it out and nothing else, and says what will write again", async () => {
    expect(await machine.run(["hosts", "diff"])).toMatchObject({
      code: 0,
      stdout: "",
      stderr: expect.stringContaining("nothing in"),
    });
    const child = await open();
    await setHosts(`${await hosts()}\n10.0.0.4 new`);
    const shown = await machine.run(["hosts", "diff"]);
    expect([shown.code, shown.stdout]).toEqual([0, expect.stringMatching(/^\+ 127\.\S+ web .*# shipside:shipside-/m)]);
    expect(JSON.parse((await machine.run(["hosts", "diff", "--json"])).stdout)).toMatchObject({
      owners: [expect.stringContaining("shipside-")],
    });
    const restored = await machine.run(["hosts", "restore"]);
    expect([restored.code, restored.stderr]).toEqual([0, expect.stringContaining("1 open session will write names again")]);
    expect(await hosts()).toBe(`${before}\n10.0.0.4 new`);
    expect(await machine.run(["hosts", "restore"])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining("nothing in /etc/hosts is Shipside's"),
    });
    await end(child);
  });

  test("`hosts restore --from-backup` shows what would change, asks, and puts the copy back byte for byte", async () => {
    const none = await machine.run(["hosts", "restore", "--from-backup"]);
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("there is no copy to put back")]);
    await end(await open());
    const broken = "127.0.0.1 localhost\nbroken\n";
    await setHosts(broken);
    const asked = await machine.run(["hosts", "restore", "--from-backup"]);
    expect([asked.code, asked.stderr]).toEqual([
      1,
      expect.stringMatching(/^- broken\n\+ # a person wrote this\n\+ 10\.0\.0\.1 printer$/m),
    ]);
    expect(await hosts()).toBe(broken);
    expect(await machine.run(["hosts", "restore", "--from-backup", "--yes"])).toMatchObject({ code: 0 });
    expect(await hosts()).toBe(before);
  });

  test("`clean` takes out lines whose process is gone and whose journal is lost, and no others", async () => {
    await setHosts(lost(deadPid()) + lost(process.pid) + before);
    const { code, stderr } = await machine.run(["clean"]);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/removed names of shipside-\d+-0badcafe in the hosts file/)]);
    expect(await hosts()).toBe(lost(process.pid) + before);
  });

  test.runIf(process.getuid?.() === 0)("who may not write it is told the exact command", async () => {
    await setHosts(lost(deadPid()) + before);
    await machine.shell(`chown -R 65534:65534 ${machine.home} ${Object.values(machine.dirs).join(" ")}`);
    const asNobody = (...words: string[]) =>
      machine.shell(`exec setpriv --reuid=65534 --regid=65534 --clear-groups -- ${machine.commandLine(words)}`);
    await chmod(join(machine.home, ".."), 0o755);
    const restore = await asNobody("hosts", "restore");
    expect([restore.code, restore.stderr]).toEqual([
      7,
      expect.stringMatching(/the hosts file is root's: sudo \S+ .* hosts restore\n/),
    ]);
    const clean = await asNobody("clean");
    expect([clean.code, clean.stderr]).toEqual([10, expect.stringContaining("still there: names of shipside-")]);
    expect(await hosts()).toContain("0badcafe");
  });
});
