import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Bed, isReady, makeBed, web } from "../fixtures/bed.ts";
import { availableModes } from "../fixtures/modes.ts";

const modes = await availableModes();

it.runIf(modes.includes("namespaces"))("a pod in namespaces runs where the state directory's name has blanks", async () => {
  const parent = mkdtempSync(join(tmpdir(), "shipside-test-"));
  onTestFinished(() => rmSync(parent, { recursive: true }));
  const stateDir = join(parent, "with some blanks");
  mkdirSync(stateDir);
  await using bed = await makeBed({ network: "namespaces", stateDir });
  bed.pod("one", { containers: [web(80, "1", { readinessProbe: { tcpSocket: { port: 80 } } })] });
  await bed.until("one", isReady);
  // On an overlay, not on the machine.
  expect(await bed.exec("one", ["sh", "-c", "touch /usr/written && ls /usr/written"])).toMatchObject({ code: 0 });
  expect(existsSync("/usr/written")).toBe(false);
});

// Where the machine has no namespaces for us there is nothing to look at.
describe.each(modes.filter((mode) => mode === "namespaces"))("pods in %s", (network) => {
  let bed: Bed;
  const api = createServer((request, response) => response.end(`api ${request.url}`));
  beforeAll(async () => {
    await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    bed = await makeBed({ network, apiServer: { url, caPem: "", tokenFor: () => "token" } });
    const ready = { readinessProbe: { tcpSocket: { port: 80 } } };
    for (const name of ["one", "two"])
      bed.pod(name, { containers: [web(80, `q.socket.remoteAddress + " " + process.env.HOSTNAME`, ready)] }, { app: "web" });
    bed.pod("client", {
      containers: [
        web(
          80,
          `fetch(decodeURIComponent(q.url.slice(1)), { headers: { connection: "close" } }).then((r) => r.text(), (e) => e.cause?.code)`,
          ready,
        ),
      ],
    });
    await Promise.all(["one", "two", "client"].map((name) => bed.until(name, isReady)));
    bed.keep();
  });
  afterEach(() => bed.clear());
  afterAll(async () => {
    await bed.node.close();
    api.close();
  });

  const ip = (name: string): string => bed.get(name)!["status"].podIP;
  const ask = (url: string): Promise<string> => bed.get$("client", 80, `/${encodeURIComponent(url)}`);
  function service(name: string, clusterIP: string, pods: string[], extra: object = {}): void {
    bed.create("services", {
      kind: "Service",
      metadata: { name },
      spec: { clusterIP, ports: [{ name: "http", port: 8080, targetPort: 80 }], ...extra },
    });
    bed.create("endpointslices.discovery.k8s.io", {
      kind: "EndpointSlice",
      metadata: { name: `${name}-x`, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 80, protocol: "TCP" }],
      endpoints: pods.map((pod) => ({ addresses: [ip(pod)], conditions: { ready: true }, hostname: pod })),
    });
  }

  it("listen on the same port, each with an address and a 127.0.0.1 of its own", async () => {
    expect(ip("one")).toMatch(/^10\.244\./);
    expect(ip("one")).not.toBe(ip("two"));
    expect(await ask(`http://${ip("one")}`)).toBe(`::ffff:${ip("client")} one`);
    expect(await ask(`http://${ip("two")}`)).toBe(`::ffff:${ip("client")} two`);
    expect(await ask("http://127.0.0.1:81")).toBe("ECONNREFUSED");
  });

  it("reach a service by its names and its address, and are spread over its pods", async () => {
    service("web", "10.96.0.20", ["one", "two"]);
    await expect.poll(() => ask("http://web:8080")).toMatch(/one|two/);
    for (const name of ["web.default", "web.default.svc", "web.default.svc.cluster.local", "10.96.0.20"]) {
      expect(await ask(`http://${name}:8080`)).toMatch(/ (one|two)$/);
    }
    const answers = [await ask("http://web:8080"), await ask("http://web:8080")].map((text) => text.split(" ")[1]);
    expect(new Set(answers)).toEqual(new Set(["one", "two"]));
    expect(await ask("http://web:81")).toBe("ECONNREFUSED");
    expect(["ENOTFOUND", "EAI_AGAIN"]).toContain(await ask("http://nothing:8080"));
  });

  it("reach the pods of a headless service by their names", async () => {
    service("headless", "None", ["one", "two"]);
    await expect.poll(() => ask("http://two.headless.default.svc.cluster.local")).toMatch(/ two$/);
    expect(await ask("http://one.headless")).toMatch(/ one$/);
    expect(await ask("http://headless")).toMatch(/ (one|two)$/);
  });

  it("are refused by a service that has no ready pod, until it has one", async () => {
    service("empty", "10.96.0.30", []);
    await expect.poll(() => ask("http://empty:8080")).toBe("ECONNREFUSED");
    bed.store.mutate("endpointslices.discovery.k8s.io", "default", "empty-x", (copy) => {
      copy["endpoints"] = [{ addresses: [ip("two")], conditions: { ready: true } }];
    });
    await expect.poll(() => ask("http://empty:8080")).toMatch(/ two$/);
    bed.store.remove("services", "default", "empty");
    await expect.poll(() => ask("http://10.96.0.30:8080")).toBe("ECONNREFUSED");
  });

  it("stay with one pod where the service asks for it", async () => {
    service("sticky", "10.96.0.40", ["one", "two"], { sessionAffinity: "ClientIP" });
    await expect.poll(() => ask("http://sticky:8080")).toMatch(/one|two/);
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask("http://sticky:8080")));
    expect(new Set(answers).size).toBe(1);
  });

  it("reach a service at once while other pods come and go", async () => {
    service("steady", "10.96.0.50", ["one"]);
    await expect.poll(() => ask("http://steady:8080")).toMatch(/one/);
    for (let i = 0; i < 8; i++) {
      bed.pod(`passing-${i}`, { containers: [web(80, "1")] });
      await bed.until(`passing-${i}`, (pod) => pod["status"]?.phase === "Running");
      const late = new Promise<string>((resolve) => setTimeout(resolve, 2_000, `no answer after pod ${i}`));
      expect(await Promise.race([ask("http://steady:8080"), late])).toMatch(/ one$/);
    }
    await Promise.all(Array.from({ length: 8 }, (_, i) => bed.remove(`passing-${i}`, 0)));
  });

  it("reach the API server through its own service", async () => {
    bed.create("services", {
      kind: "Service",
      metadata: { name: "kubernetes", namespace: "default" },
      spec: { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443 }] },
    });
    await expect.poll(() => ask("http://kubernetes.default.svc:443/version")).toBe("api /version");
  });

  it("have a host name, processes, files and directories of their own", async () => {
    expect((await bed.exec("one", ["hostname"])).stdout).toBe("one\n");
    expect((await bed.exec("one", ["sh", "-c", "ls -d /proc/[0-9]* | wc -l"])).stdout.trim()).toMatch(/^\d$/);
    expect(
      await bed.exec("one", ["sh", "-c", "echo x > /etc/shipside-test && mkdir -p /a/b && cat /etc/shipside-test"]),
    ).toMatchObject({ stdout: "x\n" });
    expect((await bed.exec("two", ["ls", "/etc/shipside-test", "/a"])).code).not.toBe(0);
    expect((await bed.exec("one", ["cat", "/etc/resolv.conf"])).stdout).toContain("search default.svc.cluster.local");
    expect((await bed.exec("one", ["ls", "/run"])).stdout).toBe("");
    const { existsSync } = await import("node:fs");
    expect(existsSync("/etc/shipside-test") || existsSync("/a/b")).toBe(false);
  });

  it("see their volumes at their own paths, and the working directory they ask for", async () => {
    bed.create("configmaps", { metadata: { name: "here" }, data: { file: "content" } });
    bed.pod("mounts", {
      volumes: [
        { name: "v", configMap: { name: "here" } },
        { name: "e", emptyDir: {} },
      ],
      containers: [
        {
          name: "main",
          image: "busybox",
          workingDir: "/work here/deep",
          command: [
            "sh",
            "-c",
            "pwd; cat /etc/new/place/file /var/lib/new/one /var/run/new/file /lib/new/file; echo; ls -A /opt; echo no > /etc/new/place/file; sleep 1000",
          ],
          volumeMounts: [
            { name: "v", mountPath: "/etc/new/place" },
            { name: "v", mountPath: "/var/lib/new/one", subPath: "file" },
            { name: "v", mountPath: "/var/run/new/" },
            { name: "v", mountPath: "/lib/new" },
            { name: "e", mountPath: "/opt" },
          ],
        },
      ],
    });
    await expect
      .poll(() => bed.logs("mounts").catch(() => ""), { timeout: 10_000 })
      .toMatch(/^\/work here\/deep\n(content){4}\n[^\n]*Read-only file system\n$/);
    await bed.remove("mounts", 0);
  });

  it.runIf(process.getuid?.() === 0)("start their containers again, whatever is mounted on the machine meanwhile", async () => {
    const point = mkdtempSync("/srv/shipside-mounted-");
    const spec = { containers: [web(80, "1", { readinessProbe: { tcpSocket: { port: 80 } } })] };
    bed.pod("older", spec);
    await bed.until("older", isReady);
    execFileSync("mount", ["-t", "tmpfs", "shipside-test", point]);
    try {
      bed.pod("younger", spec);
      await bed.until("younger", isReady);
      await again("older");
    } finally {
      execFileSync("umount", [point]);
    }
    // Its namespace keeps the mount until the directory goes.
    try {
      await again("younger");
    } finally {
      rmdirSync(point);
    }
    await Promise.all(["older", "younger"].map((name) => bed.remove(name, 0)));
  });

  async function again(name: string): Promise<void> {
    await bed.exec(name, ["sh", "-c", "kill $(pgrep -f createServer)"]);
    await bed.until(name, (pod) => isReady(pod) && pod["status"].containerStatuses[0].restartCount === 1);
  }

  it("carry a half-close through a dialled socket", async () => {
    const code = `require("net").createServer({ allowHalfOpen: true }, (s) => { let n = 0; s.on("data", (c) => (n += c.length)).on("end", () => setTimeout(() => s.end("got " + n), 100)) }).listen(7000)`;
    bed.pod("half", {
      containers: [{ name: "main", image: "node", command: ["node", "-e", code], readinessProbe: { tcpSocket: { port: 7000 } } }],
    });
    await bed.until("half", isReady);
    const socket = await bed.node.dialPod("default", "half", 7000);
    socket.end(Buffer.alloc(100_000));
    let text = "";
    for await (const chunk of socket) text += chunk;
    expect(text).toBe("got 100000");
    await bed.remove("half", 0);
  });
});
