import { once } from "node:events";
import type { Server } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { standstill } from "@shipside/testkit";
import { expect, test } from "vitest";
import { next } from "./fixtures/events.ts";
import { type FakeCluster, fakeCluster } from "./fixtures/fake-cluster.ts";
import { type PodEndpoint, service, slice } from "./fixtures/objects.ts";
import { ask, dial, namedServer, tcpServer } from "./fixtures/servers.ts";
import { openTunnel, type Tunnel } from "./index.ts";

const PORT = 18_080;

/** A tunnel to the service `web`, whose pods are given as name → what takes their connections. */
async function webTunnel(
  pods: Record<string, Parameters<FakeCluster["route"]>[2]>,
  options: { holdMs?: number; spec?: Parameters<typeof service>[2] } = {},
): Promise<{ cluster: FakeCluster; tunnel: Tunnel; address: string; setPods(list: PodEndpoint[]): void } & AsyncDisposable> {
  const cluster = fakeCluster();
  const setPods = (list: PodEndpoint[]): void => cluster.put("endpointslices", slice("web", [{ port: 80 }], list));
  cluster.put("services", service("web", [{ port: PORT, targetPort: 80 }], options.spec));
  setPods(Object.keys(pods).map((pod) => ({ pod })));
  for (const [pod, to] of Object.entries(pods)) cluster.route(pod, 80, to);
  const tunnel = await openTunnel({ cluster, pool: { stateFile: false }, holdMs: options.holdMs ?? 5_000 });
  return { cluster, tunnel, address: tunnel.address("web"), setPods, [Symbol.asyncDispose]: () => tunnel.close() };
}

test("a pod that refuses costs the client nothing: another one is dialled", async () => {
  await using good = await namedServer("good");
  await using web = await webTunnel({ a: "refuse", b: "gone", c: "refuse", d: good });
  for (let i = 0; i < 10; i++) expect(await ask(web.address)).toBe("good:hello");
});

test("a refusal that is told after the stream was opened and fed: the next pod gets every byte again", async () => {
  await using echo = await tcpServer((socket) => socket.pipe(socket));
  await using web = await webTunnel({ late: "refuse late" });
  const sent = Buffer.alloc(48 * 1024, "0123456789");
  const client = dial(web.address);
  client.end(sent);
  const outcome = next(web.tunnel, "connection-closed");
  await expect.poll(() => web.cluster.dials.length).toBeGreaterThan(0);
  web.setPods([{ pod: "late" }, { pod: "good" }]);
  web.cluster.route("good", 80, echo);
  expect((await buffer(client)).equals(sent)).toBe(true);
  const [{ endpoint, attempts, error, sent: up, received }] = await outcome;
  expect({ endpoint, error, up, received }).toEqual({
    endpoint: "home/good",
    error: undefined,
    up: sent.length,
    received: sent.length,
  });
  expect(attempts).toBeGreaterThan(1);
});

test("more than is kept isn't replayed: the client is reset, and no pod sees half of it", async () => {
  let seen = 0;
  await using other = await tcpServer((socket) => socket.on("data", (chunk) => (seen += chunk.length)));
  await using web = await webTunnel({ late: "refuse late" });
  const client = dial(web.address);
  client.write(Buffer.alloc(512 * 1024));
  const outcome = next(web.tunnel, "connection-closed");
  await expect.poll(() => web.cluster.dials.length).toBe(1);
  web.setPods([{ pod: "late" }, { pod: "other" }]);
  web.cluster.route("other", 80, other);
  const [{ error }] = await outcome;
  expect(error).toMatchObject({ code: "DIAL_REFUSED" });
  expect(seen).toBe(0);
  client.destroy();
});

test("a failure that doesn't say that nobody saw the bytes isn't replayed", async () => {
  await using good = await namedServer("good");
  await using web = await webTunnel({ odd: "fail late" });
  const outcome = next(web.tunnel, "connection-closed");
  const answer = ask(web.address);
  await expect.poll(() => web.cluster.dials.length).toBe(1);
  web.setPods([{ pod: "good" }]);
  web.cluster.route("good", 80, good);
  await expect(answer).rejects.toMatchObject({ code: "ECONNRESET" });
  expect((await outcome)[0]).toMatchObject({ attempts: 1, error: { code: "DIAL_FAILED" } });
});

test("a connection is held while no pod is ready, with what the client has said already", async () => {
  await using pod = await namedServer("new");
  await using web = await webTunnel({});
  const outcome = next(web.tunnel, "connection-closed");
  const answer = ask(web.address);
  await sleep(200);
  expect(web.cluster.dials).toEqual([]);
  web.cluster.route("new", 80, pod);
  web.setPods([{ pod: "new", conditions: { ready: false } }]);
  await sleep(100);
  expect(web.cluster.dials).toEqual([]);
  web.setPods([{ pod: "new" }]);
  expect(await answer).toBe("new:hello");
  const [{ heldMs, attempts }] = await outcome;
  expect(heldMs).toBeGreaterThanOrEqual(290);
  expect(attempts).toBe(1);
});

test("a held connection is reset when the time is over, with the reason in its event", async () => {
  await using web = await webTunnel({}, { holdMs: 300 });
  const outcome = next(web.tunnel, "connection-closed");
  await expect(ask(web.address)).rejects.toMatchObject({ code: "ECONNRESET" });
  expect((await outcome)[0]).toMatchObject({ attempts: 0, error: { code: "TUNNEL_NO_ENDPOINT" } });
  expect(web.tunnel.status().services[0]?.ports[0]?.connections).toEqual({ open: 0, total: 1, failed: 1 });
});

test("a service that doesn't listen is told sooner than a rollout is waited for, and after every pod was asked", async () => {
  await using web = await webTunnel({ a: "refuse", b: "refuse" }, { holdMs: 60_000 });
  const outcome = next(web.tunnel, "connection-closed");
  const began = performance.now();
  await expect(ask(web.address)).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(performance.now() - began).toBeLessThan(20_000);
  expect((await outcome)[0].error).toMatchObject({ code: "TUNNEL_NO_ENDPOINT", cause: { code: "DIAL_REFUSED" } });
  expect(new Set(web.cluster.dials)).toEqual(new Set(["a:80", "b:80"]));
});

test("a refusal that turns into a rollout is held like one", async () => {
  await using pod = await namedServer("new");
  await using web = await webTunnel({ old: "refuse" });
  const answer = ask(web.address);
  await sleep(150);
  web.setPods([]);
  await sleep(3_300);
  web.cluster.route("new", 80, pod);
  web.setPods([{ pod: "new" }]);
  expect(await answer).toBe("new:hello");
});

test("a client that goes away while it is held ends the wait, and is no failure", async () => {
  await using web = await webTunnel({ stuck: "hang" });
  const outcome = next(web.tunnel, "connection-closed");
  const client = dial(web.address);
  await expect.poll(() => web.cluster.dials.length).toBe(1);
  client.resetAndDestroy();
  const [{ error, endpoint }] = await outcome;
  expect(error).toBeUndefined();
  expect(endpoint).toBeUndefined();
});

test("a pod on a node that answers nothing costs some seconds, not the connection", async () => {
  await using good = await namedServer("good");
  await using web = await webTunnel({ good, stuck: "hang" });
  // The second goes to where the first isn't, whichever that is.
  expect(await Promise.all([ask(web.address), ask(web.address)])).toEqual(["good:hello", "good:hello"]);
  expect(web.cluster.dials.sort()).toEqual(["good:80", "good:80", "stuck:80"]);
});

test("what the user may not do is not tried again", async () => {
  await using web = await webTunnel({ a: "forbidden", b: "forbidden" });
  const outcome = next(web.tunnel, "connection-closed");
  await expect(ask(web.address)).rejects.toMatchObject({ code: "ECONNRESET" });
  expect((await outcome)[0]).toMatchObject({ attempts: 1, error: { code: "DIAL_FAILED", cause: { code: "KUBE_FORBIDDEN" } } });
});

test("a pod that is terminating but serves is used only where no ready one comes", async () => {
  await using draining = await namedServer("draining");
  await using ready = await namedServer("ready");
  await using web = await webTunnel({ draining, ready });
  const going = { pod: "draining", conditions: { ready: false, serving: true, terminating: true } };
  web.setPods([going]);
  const replaced = ask(web.address);
  await sleep(300);
  web.setPods([going, { pod: "ready" }]);
  expect(await replaced).toBe("ready:hello");
  for (let i = 0; i < 10; i++) expect(await ask(web.address)).toBe("ready:hello");
  web.setPods([going]);
  const outcome = next(web.tunnel, "connection-closed", ({ endpoint }) => endpoint === "home/draining");
  expect(await ask(web.address)).toBe("draining:hello");
  const [{ heldMs }] = await outcome;
  expect(heldMs).toBeGreaterThanOrEqual(1_990);
});

test("a hold that is shorter than that still gives a draining pod its chance", async () => {
  await using draining = await namedServer("draining");
  await using web = await webTunnel({ draining }, { holdMs: 0 });
  web.setPods([{ pod: "draining", conditions: { ready: false, serving: true, terminating: true } }]);
  expect(await ask(web.address)).toBe("draining:hello");
});

test("both ways at once, 8 MiB each, byte for byte, and an answer that begins after the client's end", async () => {
  const size = 8 * 1024 * 1024;
  const download = Buffer.alloc(size, "abcdefg");
  let upload: Buffer | undefined;
  await using pod = await tcpServer((socket) => {
    void buffer(socket).then((all) => {
      upload = all;
      socket.end("done");
    });
    socket.write(download);
  });
  await using web = await webTunnel({ pod });
  const client = dial(web.address);
  const sent = Buffer.alloc(size, "0123456789");
  client.end(sent);
  const got = await buffer(client);
  expect(got.length).toBe(size + 4);
  expect(got.subarray(0, size).equals(download)).toBe(true);
  expect(got.subarray(size).toString()).toBe("done");
  expect(upload?.equals(sent)).toBe(true);
  await expect.poll(() => web.tunnel.status().services[0]?.ports[0]?.bytes).toEqual({ sent: size, received: size + 4 });
});

test("a server that speaks first is heard, and so is one whose client has only ended", async () => {
  await using greeter = await tcpServer((socket) => void socket.write("220 hello\r\n"));
  await using web = await webTunnel({ greeter });
  const client = dial(web.address);
  expect(String((await once(client, "data"))[0])).toBe("220 hello\r\n");
  client.destroy();

  await using onEnd = await tcpServer((socket) => socket.resume().on("end", () => socket.end("bye")));
  web.cluster.route("greeter", 80, onEnd);
  const silent = dial(web.address);
  silent.end();
  expect(await text(silent)).toBe("bye");
});

test("a reset is carried as a reset, both ways, and disturbs no other connection", async () => {
  const upstream: Promise<unknown>[] = [];
  await using pod = await tcpServer((socket) => {
    socket.on("data", (chunk) => {
      if (String(chunk) === "reset me") socket.resetAndDestroy();
      else socket.write(chunk);
    });
    upstream.push(new Promise((resolve) => socket.on("close", () => resolve(socket.errored))));
  });
  await using web = await webTunnel({ pod });
  const bystander = dial(web.address);
  bystander.write("one");
  expect(String((await once(bystander, "data"))[0])).toBe("one");

  await expect(ask(web.address, "reset me")).rejects.toMatchObject({ code: "ECONNRESET" });

  const client = dial(web.address);
  client.write("two");
  await once(client, "data");
  client.resetAndDestroy();
  expect(await upstream[2]).toMatchObject({ code: "ECONNRESET" });

  bystander.write("three");
  expect(String((await once(bystander, "data"))[0])).toBe("three");
  bystander.destroy();
});

test("connections go to the pod that has the fewest", async () => {
  const taken = { a: 0, b: 0, c: 0 };
  const counting = (name: keyof typeof taken): Promise<Server & AsyncDisposable> =>
    tcpServer((socket) => {
      taken[name]++;
      socket.write(name);
    });
  await using a = await counting("a");
  await using b = await counting("b");
  await using c = await counting("c");
  await using web = await webTunnel({ a, b, c });
  const clients = [];
  for (let i = 0; i < 12; i++) {
    const client = dial(web.address);
    clients.push(client);
    await once(client, "data");
  }
  expect(taken).toEqual({ a: 4, b: 4, c: 4 });
  for (const client of clients) client.destroy();
});

test("ClientIP affinity keeps a client at its pod until that is no longer ready", async () => {
  await using a = await namedServer("a");
  await using b = await namedServer("b");
  await using web = await webTunnel({ a, b }, { spec: { sessionAffinity: "ClientIP" } });
  const first = (await ask(web.address)).split(":")[0] as "a" | "b";
  for (let i = 0; i < 10; i++) expect(await ask(web.address)).toBe(`${first}:hello`);
  const other = first === "a" ? "b" : "a";
  web.setPods([{ pod: first, conditions: { ready: false } }, { pod: other }]);
  expect(await ask(web.address)).toBe(`${other}:hello`);
  web.setPods([{ pod: first }, { pod: other }]);
  for (let i = 0; i < 10; i++) expect(await ask(web.address)).toBe(`${other}:hello`);
});

test("a slow reader holds its server back and nobody else", async () => {
  let written = 0;
  await using firehose = await tcpServer((socket) => {
    const pump = (): void => {
      while (!socket.destroyed && written < 256 * 1024 * 1024) {
        written += 64 * 1024;
        if (!socket.write(Buffer.alloc(64 * 1024))) return void socket.once("drain", pump);
      }
    };
    socket.once("data", (chunk) => (String(chunk) === "pour" ? pump() : socket.end("quick")));
  });
  await using web = await webTunnel({ firehose });
  const slow = dial(web.address);
  slow.pause();
  slow.write("pour");
  expect(await standstill(() => written)).toBeLessThan(64 * 1024 * 1024);
  expect(await ask(web.address, "other")).toBe("quick");
  slow.destroy();
});

test("a listener of an event that throws costs no connection", async () => {
  await using pod = await namedServer("pod");
  await using web = await webTunnel({ pod });
  web.tunnel.events.on("connection", () => {
    throw new Error("mine");
  });
  expect(await ask(web.address)).toBe("pod:hello");
});
