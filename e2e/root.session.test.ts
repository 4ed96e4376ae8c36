import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmod, copyFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { DEPLOYMENTS, ENDPOINT_SLICES, type KubeObject, SERVICES } from "@shipside/kube";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { NEWER, newerShipside } from "./newer.fixture.ts";
import { alive } from "./processes.ts";
import { canHaveMachine, has, type Machine, newMachine, until } from "./root.harness.ts";
import { type E2eCluster, e2eCluster } from "./tunnel.fixture.ts";

const PORT = 43180;
const labels = { app: "web" };
// POD_IP is set by an embedded node whose pods have no network namespace: then a pod has only that address.
const serve = `
require("node:http").createServer((q, s) => s.end("from the pod")).listen(${PORT}, process.env.POD_IP);
const udp = require("node:dgram").createSocket("udp4", (d, from) => udp.send("re:" + d, from.port, from.address)).bind(${PORT}, process.env.POD_IP);`;

describe.skipIf(!canHaveMachine || !has("sudo"))("a session with a helper", { timeout: 60_000 }, () => {
  let e2e: E2eCluster;
  let machine: Machine;
  let hosts: string;

  beforeAll(async () => {
    e2e = await e2eCluster();
    const { cluster, namespace } = e2e;
    await cluster.create(SERVICES, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web", namespace },
      spec: { selector: labels, ports: [{ port: 80, targetPort: PORT }] },
    });
    await cluster.create(SERVICES, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "names", namespace },
      spec: { selector: labels, ports: [{ port: 53, targetPort: PORT, protocol: "UDP" }] },
    });
    const containers = [
      {
        name: "web",
        image: "node:24",
        command: ["node", "-e", serve],
        readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
      },
    ];
    await cluster.create(DEPLOYMENTS, {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "web", namespace },
      spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
    } as KubeObject as never);
    const ready = async (): Promise<boolean> =>
      (await cluster.list(ENDPOINT_SLICES, { namespace })).some(({ endpoints }) =>
        endpoints?.some(({ conditions }) => conditions?.ready),
      );
    while (!(await ready())) await delay(100);
  }, 150_000);
  afterAll(() => e2e?.[Symbol.asyncDispose]());

  beforeEach(async () => {
    machine = await newMachine({ sudo: true });
    // Neither a last end of line nor one style of them: byte for byte is meant.
    await machine.sh("printf '127.0.0.1 localhost\\n# mine\\r\\n10.0.0.1\\tprinter' > /etc/hosts");
    hosts = await machine.sh("md5sum < /etc/hosts");
  });
  afterEach(async () => {
    await machine.run(["stop"]);
    expect(await machine.sh("md5sum < /etc/hosts")).toBe(hosts);
    await machine[Symbol.asyncDispose]();
  });

  async function open(): Promise<{ pid: number; helper: number; address: string; datagrams: string }> {
    const kubeconfig = join(machine.home, "kubeconfig");
    await copyFile(e2e.kubeconfig, kubeconfig);
    await chmod(kubeconfig, 0o644);
    const started = await machine.run(["start", "--json"]);
    expect(started).toMatchObject({ code: 0 });
    const opened = await machine.run(["teleport", "namespace", e2e.namespace, "-k", kubeconfig, "--json"]);
    expect(opened).toMatchObject({ code: 0 });
    const { session } = JSON.parse(opened.stdout);
    expect(session.names).toMatchObject({ where: "hosts" });
    const { pid, helper } = JSON.parse(started.stdout);
    const addressOf = (service: string): string => session.services.find(({ name }: { name: string }) => name === service).address;
    return { pid, helper, address: addressOf("web"), datagrams: addressOf("names") };
  }
  const ask = (): Promise<string> => machine.sh(`curl -sS --max-time 5 http://web.${e2e.namespace}/`);
  const listening = (address: string): Promise<string> => machine.sh(`ss -Hltn src ${address}`);

  test("has the cluster's names in the hosts file and port 80, by a daemon of an ordinary user; stop takes all away", async () => {
    const { pid, helper, address } = await open();
    expect(await ask()).toBe("from the pod");
    expect(await listening(address)).toContain(`${address}:80`);
    expect(await machine.sh("cat /etc/hosts")).toContain(`web.${e2e.namespace}.svc.cluster.local`);
    // The copy of the file as it was is the user's, written by the daemon.
    const copy = join(machine.home, "hosts.original");
    expect([await machine.sh(`md5sum < ${copy}`), await machine.sh(`stat -c '%U %a' ${copy}`)]).toEqual([
      hosts,
      `${machine.name} 600`,
    ]);
    expect(await machine.run(["stop"])).toMatchObject({ code: 0, stderr: expect.stringContaining("everything is as it was") });
    expect([await alive(pid), await alive(helper), await listening(address)]).toEqual([false, false, ""]);
    expect(await machine.sh("md5sum < /etc/hosts")).toBe(hosts);
  });

  test("a UDP service on port 53 answers by its name; stop frees the port", async () => {
    const { datagrams } = await open();
    const ask = `const s = require("dgram").createSocket("udp4", (d) => { console.log(String(d)); process.exit(); });
      setInterval(() => s.send("who?", 53, "names.${e2e.namespace}"), 500); s.send("who?", 53, "names.${e2e.namespace}");`;
    expect(await machine.sh(`ss -Hlun src ${datagrams}`)).toContain(`${datagrams}:53`);
    expect(await machine.sh(`timeout 30 ${process.execPath} -e '${ask}'`)).toBe("re:who?");
    expect(await machine.run(["stop"])).toMatchObject({ code: 0 });
    expect(await machine.sh(`ss -Hlun src ${datagrams}`)).toBe("");
  });

  test("a newer shipside puts a daemon and a helper of its own in their place, and what was open is open again", async () => {
    const { pid, helper } = await open();
    await using newer = await newerShipside();
    const program = [process.execPath, newer.bin];
    // Where nobody can be asked, what runs is left as it is.
    expect(await machine.run(["start", "--json"], { program })).toMatchObject({ code: 0 });
    expect(await alive(pid)).toBe(true);

    const start = `${program.join(" ")} start`;
    const child = machine.start([], { program: ["script", "--quiet", "--return", "--command", start, "/dev/null"] });
    const said = await answering(child, /\[y\/N\] /, "y");
    expect(said).toMatch(
      new RegExp(`is older \\(.*\\) than this shipside \\(${NEWER}\\); start a new one\\? \\(its session is opened again\\)`),
    );
    expect(said).toContain("opened again:");
    expect([await alive(pid), await alive(helper)]).toEqual([false, false]);
    expect(await ask()).toBe("from the pod");
    const { processes } = JSON.parse((await machine.run(["status", "--json"], { program })).stdout);
    expect(processes).toMatchObject([
      { kind: "daemon", version: NEWER, helper: { running: true }, probes: [{ tunnels: { asked: 1 } }] },
    ]);
  });

  test("the daemon is killed: the helper undoes it all at once", async () => {
    const { pid, helper, address } = await open();
    process.kill(pid, "SIGKILL");
    await until(async () => !(await alive(helper)));
    expect([await machine.sh("md5sum < /etc/hosts"), await listening(address)]).toEqual([hosts, ""]);
    expect(await machine.run(["stop", "--json"])).toMatchObject({ code: 0, stdout: expect.stringContaining('"residue": []') });
  });

  test("the helper is killed: what is open works on, status says it, stop asks for root again and undoes it", async () => {
    const { pid, helper, address } = await open();
    process.kill(helper, "SIGKILL");
    await until(async () => !(await alive(helper)));
    expect(await ask()).toBe("from the pod");
    expect((await machine.run(["status"])).stdout).toContain(`its helper (pid ${helper}) has ended`);
    const stopped = await machine.run(["stop"]);
    expect(stopped.stderr).toMatch(/an earlier helper had left \d+ lines? of the hosts file/);
    expect(stopped.code).toBe(0);
    expect([await alive(pid), await machine.sh("md5sum < /etc/hosts"), await listening(address)]).toEqual([false, hosts, ""]);
    expect(await machine.run(["stop"])).toMatchObject({ code: 0, stderr: expect.stringContaining("no daemon runs") });
  });

  test("what only root can undo, and nobody gives root: stop says what is left, and undoes it when it can", async () => {
    const { pid, helper } = await open();
    process.kill(helper, "SIGKILL");
    await until(async () => !(await alive(helper)));
    await machine.sh("mount --bind /dev/null /usr/bin/sudo");
    const stopped = await machine.run(["stop", "--json"]);
    expect(stopped).toMatchObject({ code: 10, stderr: expect.stringContaining("neither sudo nor doas is installed") });
    expect(JSON.parse(stopped.stdout)).toMatchObject({ stopped: pid, helper, residue: ["helper: lines of the hosts file"] });
    await machine.sh("umount /usr/bin/sudo");
    expect(await machine.run(["stop"])).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/had left \d+ lines? of the hosts file/),
    });
    expect(await machine.sh("md5sum < /etc/hosts")).toBe(hosts);
  });

  test("both are killed: the next start undoes what they left, and says so", async () => {
    const { pid, helper } = await open();
    process.kill(helper, "SIGKILL");
    process.kill(pid, "SIGKILL");
    await until(async () => !(await alive(helper)) && !(await alive(pid)));
    expect(await machine.sh("md5sum < /etc/hosts")).not.toBe(hosts);
    const again = await machine.run(["start"]);
    expect(again).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/an earlier helper had left \d+ lines? of the hosts file/),
    });
    expect(await machine.sh("md5sum < /etc/hosts")).toBe(hosts);
  });
});

/** All that it says until it ends; what fits is answered once. */
async function answering(child: ChildProcess, question: RegExp, answer: string): Promise<string> {
  let said = "";
  let answered = false;
  child.stdout!.on("data", (chunk: Buffer) => {
    said += chunk;
    if (answered || !question.test(said)) return;
    answered = true;
    child.stdin!.write(`${answer}\n`);
  });
  await once(child, "close");
  return said;
}
