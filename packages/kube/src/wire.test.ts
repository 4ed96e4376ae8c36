import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { silentLogger } from "@shipside/core";
import { describe, expect, test } from "vitest";
import { connectCluster } from "./client.ts";
import type { Cluster } from "./cluster.ts";
import { CA } from "./fixtures/certificates.ts";
import { eventually } from "./fixtures/eventually.ts";
import { type FakeApi, fakeApi, kubeconfigText, sendJson, tempDir } from "./fixtures/fake-api.ts";
import { connectProxy, socksProxy, type TestProxy } from "./fixtures/proxies.ts";
import { PODS, SERVICES } from "./objects.ts";

interface World extends AsyncDisposable {
  api: FakeApi;
  proxy: TestProxy;
  cluster: Cluster;
}

/** An API server that is reached through a proxy only, and answers requests, watches and exec. */
async function behind(proxy: TestProxy, url: (port: number) => string): Promise<World> {
  const stack = new AsyncDisposableStack();
  const api = stack.use(
    await fakeApi((request, response) => {
      if (request.url!.includes("watch=true")) {
        response.writeHead(200);
        response.flushHeaders();
      } else sendJson(response, 200, { metadata: { resourceVersion: "1" }, items: [] });
    }),
  );
  api.server.on("upgrade", (request, socket) => {
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64");
    const text = '{"kind":"Status","status":"Success"}';
    socket.write(
      `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n`,
    );
    socket.end(Buffer.concat([Buffer.from([0x82, text.length + 1, 3]), Buffer.from(text), Buffer.from([0x88, 0])]));
  });
  stack.use(proxy);
  const dir = stack.use(await tempDir());
  const trust = { "certificate-authority-data": Buffer.from(CA).toString("base64") };
  const text = kubeconfigText({ server: api.url, cluster: { ...trust, "proxy-url": url(proxy.port) } });
  const cluster = stack.use(await connectCluster({ kubeconfig: await dir.write("config", text) }));
  return { api, proxy, cluster, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("proxy-url", () => {
  test.each([
    ["CONNECT", () => connectProxy(), (port: number) => `http://127.0.0.1:${port}`],
    ["CONNECT with a password", () => connectProxy("u:p"), (port: number) => `http://u:p@127.0.0.1:${port}`],
    ["SOCKS5", () => socksProxy(), (port: number) => `socks5://127.0.0.1:${port}`],
  ])("%s carries requests over kept-alive connections, watches and upgrades", async (_name, make, url) => {
    await using w = await behind(await make(), url);
    for (let i = 0; i < 5; i++) await w.cluster.list(PODS);
    expect(w.proxy.asked).toEqual([`127.0.0.1:${w.api.port}`]);
    await using watch = w.cluster.watch(SERVICES);
    await eventually(() => expect(watch.state.status).toBe("live"));
    expect((await w.cluster.exec({ namespace: "n", name: "p" }, ["true"])).exitCode).toBe(0);
    expect(w.proxy.asked).toHaveLength(3);
    expect(w.api.connections).toBe(3);
  });

  test("a proxy that refuses, and one that isn't there", async () => {
    await using refusing = await behind(await connectProxy("u:p"), (port) => `http://127.0.0.1:${port}`);
    await expect(refusing.cluster.list(PODS)).rejects.toMatchObject({
      code: "KUBE_UNREACHABLE",
      message: expect.stringContaining("407"),
    });
    await using absent = await behind(await connectProxy(), () => "http://127.0.0.1:1");
    await expect(absent.cluster.list(PODS)).rejects.toMatchObject({ code: "KUBE_UNREACHABLE" });
  });
});

test("a server behind plain http and a path, as kubectl proxy and gateways give it", async () => {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(request.url!);
    sendJson(response, 200, { metadata: {}, items: [] });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  await using dir = await tempDir();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/k8s/clusters/c-1/`;
  const kubeconfig = await dir.write("config", kubeconfigText({ server: url, cluster: {} }));
  await using cluster = await connectCluster({ kubeconfig });
  await cluster.list(PODS, { namespace: "n" });
  expect(seen).toEqual(["/k8s/clusters/c-1/api/v1/namespaces/n/pods?limit=500"]);
  await cluster.close();
  await new Promise((resolve) => server.close(resolve));
});

test("40 watches of a restarted API server come back spread out, and once each", async () => {
  let accepted = 0;
  await using api = await fakeApi((request, response) => {
    if (!request.url!.includes("watch=true")) return sendJson(response, 200, { metadata: { resourceVersion: "1" }, items: [] });
    accepted++;
    response.writeHead(200);
    response.flushHeaders();
  });
  const waits: number[] = [];
  const debug = (message: string, fields?: Readonly<Record<string, unknown>>): void => {
    if (message.includes("will reconnect")) waits.push(Number(fields?.["waitMs"]));
  };
  await using dir = await tempDir();
  const kubeconfig = await dir.write("config", kubeconfigText({ server: api.url }));
  await using cluster = await connectCluster({ kubeconfig, logger: { ...silentLogger, debug } });
  const watches = Array.from({ length: 40 }, () => cluster.watch(SERVICES));
  await eventually(() => expect(watches.every(({ state }) => state.status === "live")).toBe(true));
  accepted = 0;
  waits.length = 0;
  await api.stop();
  await api.start();
  await eventually(() => expect(accepted).toBeGreaterThanOrEqual(40));
  await eventually(() => expect(watches.every(({ state }) => state.status === "live")).toBe(true));
  expect(accepted).toBe(40);
  expect(waits.length).toBeGreaterThanOrEqual(40);
  // What each decided to wait, not when it came: that depends on the machine too. Uniform over 720 ms, no 100 ms may hold half of them.
  const first = waits.slice(0, 40);
  expect(Math.max(...first.map((from) => first.filter((wait) => wait >= from && wait < from + 100).length))).toBeLessThan(20);
});

test("revalidate drops idle connections and lets watches connect anew", async () => {
  let watches = 0;
  await using api = await fakeApi((request, response) => {
    if (!request.url!.includes("watch=true")) return sendJson(response, 200, { metadata: { resourceVersion: "1" }, items: [] });
    watches++;
    response.writeHead(200);
    response.flushHeaders();
  });
  await using dir = await tempDir();
  await using cluster = await connectCluster({ kubeconfig: await dir.write("config", kubeconfigText({ server: api.url })) });
  await using watch = cluster.watch(SERVICES);
  await eventually(() => expect(watch.state.status).toBe("live"));
  const before = api.connections;
  cluster.revalidate();
  await eventually(() => expect(watches).toBe(2));
  await cluster.list(PODS);
  expect(api.connections).toBe(before + 2);
});
