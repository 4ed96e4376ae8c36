import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { chmod, copyFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type EmbeddedCluster, startCluster } from "@shipside/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { NOBODY, newUser, type User, untilSaid } from "./cli.harness.ts";

const NAMESPACE = "shop";
const PORT = 43190;
// POD_IP is set by an embedded node whose pods have no network namespace: then a pod has only that address.
const SERVE = `
const where = process.env.POD_IP;
require("node:http").createServer((q, s) => s.end("from " + require("node:os").hostname())).listen(${PORT}, where);
const udp = require("node:dgram").createSocket("udp4", (d, from) => udp.send("re:" + d, from.port, from.address)).bind(${PORT}, where);`;

const container = {
  name: "web",
  image: "node:24",
  command: ["node", "-e", SERVE],
  readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
};
type Volume = { name: string; mountPath: string } & Record<string, unknown>;

const workload = (kind: string, name: string, more: object = {}, volumes: readonly Volume[] = []): object => ({
  apiVersion: "apps/v1",
  kind,
  metadata: { name, namespace: NAMESPACE },
  spec: {
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        containers: [
          {
            ...container,
            env: [{ name: "GREETING", value: `I am ${name}` }],
            volumeMounts: volumes.map((volume) => ({ name: volume.name, mountPath: volume.mountPath })),
          },
        ],
        volumes: volumes.map(({ mountPath: _, ...volume }) => volume),
      },
    },
    ...more,
  },
});
const service = (name: string, spec: object): object => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name, namespace: NAMESPACE },
  spec,
});

describe.skipIf(process.platform !== "linux")("a command in namespaces of its own", { timeout: 60_000 }, () => {
  let cluster: EmbeddedCluster;
  let user: User;
  let kubeconfig: string;
  let hosts: string;

  beforeAll(async () => {
    cluster = await startCluster();
    await cluster.apply([
      { apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } },
      workload("Deployment", "web"),
      {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "app", namespace: NAMESPACE },
        data: { "config.ini": "level=debug" },
      },
      { apiVersion: "v1", kind: "Secret", metadata: { name: "app", namespace: NAMESPACE }, stringData: { password: "hunter2" } },
      workload("StatefulSet", "db", { serviceName: "db" }, [
        { name: "config", mountPath: "/etc/no-such-app", configMap: { name: "app" } },
        { name: "secret", mountPath: "/no-such-app", secret: { secretName: "app" } },
      ]),
      service("web", { selector: { app: "web" }, ports: [{ name: "http", port: 80, targetPort: PORT }] }),
      service("db", { clusterIP: "None", selector: { app: "db" }, ports: [{ port: PORT }] }),
    ]);
    await vi.waitFor(
      () => {
        const ready = cluster.store.list("endpointslices.discovery.k8s.io", NAMESPACE);
        expect(JSON.stringify(ready).match(/"ready":true/g)).toHaveLength(2);
      },
      { timeout: 60_000, interval: 200 },
    );
    user = await newUser();
    kubeconfig = join(user.home, "kubeconfig");
    await copyFile(cluster.kubeconfigPath, kubeconfig);
    await chmod(kubeconfig, 0o644);
  }, 150_000);
  afterAll(async () => {
    await user?.[Symbol.asyncDispose]();
    await cluster?.close();
  });
  beforeEach(() => {
    hosts = readFileSync("/etc/hosts", "utf8");
  });
  afterEach(async () => {
    expect(readFileSync("/etc/hosts", "utf8")).toBe(hosts);
    expect(await user.left()).toEqual([]);
  });

  const run = (
    program: string,
    words: readonly string[] = ["run", "deployment/web"],
  ): Promise<{ code: number | null; stdout: string; stderr: string }> =>
    user.run([...words, "-n", NAMESPACE, "-k", kubeconfig, "--", process.execPath, "-e", program]);

  test("sees names, real ClusterIPs, pods' IPs, low ports, the API server and its workload's env, as the same user", async () => {
    const ran = await run(`
      const { promises: dns } = require("node:dns");
      const text = async (url) => (await fetch(url)).text();
      (async () => {
        const { address } = await dns.lookup("web");
        const { address: pod } = await dns.lookup("db-0.db.${NAMESPACE}.svc.cluster.local");
        const own = await new Promise((resolve) => {
          const server = require("node:net").createServer().listen(80, () => resolve(server.address().port));
          server.unref();
        });
        process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
        console.log(JSON.stringify({
          address, pod, own,
          byName: await text("http://web.${NAMESPACE}/"),
          byAddress: await text("http://" + process.env.WEB_SERVICE_HOST + ":" + process.env.WEB_SERVICE_PORT),
          byPod: await text("http://db-0.db:${PORT}/"),
          greeting: process.env.GREETING,
          api: process.env.KUBERNETES_SERVICE_HOST,
          apiPort: process.env.KUBERNETES_SERVICE_PORT,
          version: (await fetch("https://" + process.env.KUBERNETES_SERVICE_HOST + "/version")).status,
          uid: process.getuid(),
          gid: process.getgid(),
        }));
      })();`);
    expect(ran.code, ran.stderr).toBe(0);
    const { clusterIP } = cluster.store.get("services", NAMESPACE, "web")!["spec"] as { clusterIP: string };
    const { podIP } = cluster.store.get("pods", NAMESPACE, "db-0")!["status"] as { podIP: string };
    const got = JSON.parse(ran.stdout);
    expect(got).toMatchObject({
      ...{ address: clusterIP, pod: podIP, own: 80 },
      ...{ byName: expect.stringMatching(/^from web-/), byAddress: expect.stringMatching(/^from web-/), byPod: "from db-0" },
      ...{ greeting: "I am web", api: "10.96.0.1", apiPort: "443" },
      ...(process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : { uid: process.getuid!() }),
    });
    expect([200, 401, 403]).toContain(got.version);
    expect(ran.stderr).toContain("for the command alone; nothing on this machine changes");
  });

  test("`teleport --rootless` is the same; the exit code is the command's, and a command is needed", async () => {
    expect((await run("process.exit(7)", ["teleport", "deployment/web", "--rootless"])).code).toBe(7);
    const none = await user.run(["run", "deployment/web", "-n", NAMESPACE, "-k", kubeconfig]);
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining("--rootless is for one command") });
    const missing = await user.run(["run", "deployment/web", "-n", NAMESPACE, "-k", kubeconfig, "--", "no-such-program"]);
    expect(missing).toMatchObject({ code: 127, stderr: expect.stringContaining("COMMAND_NOT_FOUND") });
  });

  test("has the workload's volumes at their own paths, the service account's token too", async () => {
    const token = "/var/run/secrets/kubernetes.io/serviceaccount";
    const ran = await run(
      `const fs = require("node:fs");
       const read = (path) => fs.readFileSync(path, "utf8");
       console.log(JSON.stringify({
         config: read("/etc/no-such-app/config.ini"), top: read("/no-such-app/password"), namespace: read("${token}/namespace"),
         claims: JSON.parse(Buffer.from(read("${token}/token").split(".")[1], "base64url")).sub,
       }));`,
      ["run", "statefulset/db", "--volumes"],
    );
    expect(ran.code, ran.stderr).toBe(0);
    expect(JSON.parse(ran.stdout)).toEqual({
      ...{ config: "level=debug", top: "hunter2", namespace: NAMESPACE },
      claims: `system:serviceaccount:${NAMESPACE}:default`,
    });
    expect(ran.stderr).toContain("volumes at their own paths");
    expect([existsSync("/etc/no-such-app"), existsSync("/no-such-app")]).toEqual([false, false]);
    const without = await user.run([
      "teleport",
      "deployment/web",
      "--no-rootless",
      "--volumes",
      "-n",
      NAMESPACE,
      "-k",
      kubeconfig,
      "--",
      "true",
    ]);
    expect(without).toMatchObject({ code: 2, stderr: expect.stringContaining("shipside run") });
  });

  test("asks the cluster's DNS as a pod does, has a port of this machine, and what it listens on is here", async () => {
    const here = createServer((_request, response) => response.end("from this machine"));
    await once(here.listen(0, "127.0.0.1"), "listening");
    onTestFinished(() => void here.close());
    const { port } = here.address() as AddressInfo;
    const program = `
      const { promises: dns } = require("node:dns");
      (async () => {
        const read = (path) => require("node:fs").readFileSync(path, "utf8");
        const report = {
          srv: await dns.resolveSrv("_http._tcp.web.${NAMESPACE}.svc.cluster.local"),
          headless: await dns.resolve4("db.${NAMESPACE}.svc.cluster.local"),
          reverse: await dns.resolvePtr(process.env.WEB_SERVICE_HOST.split(".").reverse().join(".") + ".in-addr.arpa"),
          missing: await dns.resolve4("nothing.${NAMESPACE}.svc.cluster.local").catch((error) => error.code),
          searches: read("/etc/resolv.conf").match(/^search (.*)$/m)[1].split(" ").slice(0, 3),
          ndots: /ndots:5/.test(read("/etc/resolv.conf")),
          local: await (await fetch("http://127.0.0.1:${port}/")).text(),
        };
        require("node:http").createServer((q, s) => { s.end("from the command"); }).listen(0, () => console.log(JSON.stringify(report)));
      })();`;
    const words = [
      "run",
      "deployment/web",
      "--host-port",
      String(port),
      "-n",
      NAMESPACE,
      "-k",
      kubeconfig,
      "--",
      process.execPath,
      "-e",
      program,
    ];
    const child = user.start(words);
    onTestFinished(() => void child.kill("SIGKILL"));
    const said = await untilSaid(child, /of the command is on 127\.0\.0\.1:\d+\n/);
    const [, opened] = /is on (127\.0\.0\.1:\d+)\n/.exec(said)!;
    expect(await (await fetch(`http://${opened}/`)).text()).toBe("from the command");
    const { podIP } = cluster.store.get("pods", NAMESPACE, "db-0")!["status"] as { podIP: string };
    expect(JSON.parse(/^\{.*\}$/m.exec(said)![0])).toEqual({
      srv: [expect.objectContaining({ name: `web.${NAMESPACE}.svc.cluster.local`, port: 80 })],
      ...{ headless: [podIP], reverse: [`web.${NAMESPACE}.svc.cluster.local`], missing: "ENOTFOUND" },
      searches: [`${NAMESPACE}.svc.cluster.local`, "svc.cluster.local", "cluster.local"],
      ...{ ndots: true, local: "from this machine" },
    });
    const ended = once(child, "exit");
    child.kill("SIGINT");
    expect(await ended).toEqual([130, null]);
  });

  test("a signal reaches the command, which judges it", async () => {
    const program = `process.on("SIGTERM", () => process.exit(5)); console.log("up"); setInterval(() => {}, 1000);`;
    const child = user.start(["run", "deployment/web", "-n", NAMESPACE, "-k", kubeconfig, "--", process.execPath, "-e", program]);
    await untilSaid(child, /^up$/m);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await ended).toBe(5);
  });

  test("killing shipside leaves no process and nothing else", async () => {
    const mark = `left-${process.pid}`;
    const child = user.start(
      [
        "run",
        "deployment/web",
        "-n",
        NAMESPACE,
        "-k",
        kubeconfig,
        "--",
        "sh",
        "-c",
        `sleep 1000 & echo up; exec sleep 1001 # ${mark}`,
      ],
      {
        env: { ROOTLESS_MARK: mark },
      },
    );
    await untilSaid(child, /^up$/m);
    const theirs = processesWith(mark);
    expect(theirs.length).toBeGreaterThanOrEqual(5);
    child.kill("SIGKILL");
    // Somebody else cleans up for it then, and has the mark too.
    await vi.waitFor(() => expect(processesWith(mark)).toEqual([]), 20_000);
    expect(await user.left()).toEqual([]);
  });
});

/** Those that have it in their env. */
function processesWith(mark: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || !existsSync(`/proc/${name}/exe`)) return [];
    try {
      readlinkSync(`/proc/${name}/exe`);
      return readFileSync(`/proc/${name}/environ`, "utf8").includes(`ROOTLESS_MARK=${mark}`) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}
