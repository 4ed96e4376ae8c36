import { once } from "node:events";
import { Agent, createServer as createHttpServer, get, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { createFaults, type FaultOptions } from "./faults.ts";
import { createStore } from "./memory-store.ts";

/** A server that asks its faults as the API server does. `/watch` streams a line every 10 ms. */
async function serve(options: FaultOptions = {}) {
  const faults = createFaults(options);
  const http = createHttpServer(async (request, response) => {
    const watch = request.url === "/watch";
    const fault = await faults.request({
      verb: watch ? "watch" : "get",
      resource: "pods",
      subresource: "",
      watch,
      user: String(request.headers["x-user"] ?? "dev"),
      socket: request.socket,
    });
    if (fault === "freeze") return;
    if (fault === "drop") request.socket.destroy();
    else if (fault) response.writeHead(fault.status, fault.headers ?? {}).end(JSON.stringify(fault.body));
    else if (watch) {
      const timer = setInterval(() => response.write("tick\n"), 10);
      response.on("close", () => clearInterval(timer));
    } else response.end("x".repeat(request.url === "/big" ? 200_000 : 1));
  });
  const front = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    const stream = faults.connection(socket);
    if (stream) http.emit("connection", stream);
  }).listen(0, "127.0.0.1");
  await once(front, "listening");
  const { port } = front.address() as AddressInfo;
  const agent = new Agent();
  const open = (path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => get({ port, path, headers, agent }, resolve).on("error", reject));
  return {
    faults,
    port,
    open,
    async ask(path = "/", headers: Record<string, string> = {}) {
      const response = await open(path, headers);
      let body = "";
      for await (const chunk of response) body += chunk;
      return { status: response.statusCode, headers: response.headers, body };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      faults.dropConnections();
      front.close();
    },
  };
}

const within = async <T>(promise: Promise<T>, ms: number): Promise<T | "nothing"> =>
  Promise.race([promise, sleep(ms, "nothing" as const)]);

test("429 with Retry-After, for so many requests", async () => {
  await using server = await serve({ throttle: { times: 2, retryAfterSeconds: 3 } });
  for (let i = 0; i < 2; i++) {
    const { status, headers, body } = await server.ask();
    expect([status, headers["retry-after"]]).toEqual([429, "3"]);
    expect(JSON.parse(body)).toMatchObject({ kind: "Status", reason: "TooManyRequests", details: { retryAfterSeconds: 3 } });
  }
  expect((await server.ask()).status).toBe(200);
});

test("5xx until it's taken back, for one resource", async () => {
  await using server = await serve();
  const undoOther = server.faults.fail({ status: 503, resource: "services" });
  expect((await server.ask()).status).toBe(200);
  const undo = server.faults.fail({ status: 503, resource: "pods" });
  expect((await server.ask()).status).toBe(503);
  undo();
  undoOther();
  expect((await server.ask()).status).toBe(200);
});

test("410 for the next watch, and only that", async () => {
  await using server = await serve();
  server.faults.expireVersions();
  expect((await server.ask()).status).toBe(200);
  const { status, body } = await server.ask("/watch");
  expect([status, JSON.parse(body).reason]).toEqual([410, "Expired"]);
  const watch = await server.open("/watch");
  expect(watch.statusCode).toBe(200);
  watch.destroy();
});

test("expired credentials: one user's, and everybody's", async () => {
  await using server = await serve({ expireCredentials: "ann" });
  expect((await server.ask("/", { "x-user": "ann" })).status).toBe(401);
  expect((await server.ask("/", { "x-user": "bob" })).status).toBe(200);
  const undo = server.faults.expireCredentials();
  expect((await server.ask("/", { "x-user": "bob" })).status).toBe(401);
  undo();
  expect((await server.ask("/", { "x-user": "bob" })).status).toBe(200);
});

test("dropping watches cuts those that stand, and leaves the rest alone", async () => {
  await using server = await serve();
  const watch = await server.open("/watch");
  watch.on("error", () => {});
  await once(watch, "data");
  expect(server.faults.dropConnections("portforward")).toBe(0);
  expect(server.faults.dropConnections("watch")).toBe(1);
  await new Promise((resolve) => watch.on("close", resolve));
  expect((await server.ask()).status).toBe(200);

  const undo = server.faults.drop("watch");
  await expect(server.open("/watch")).rejects.toThrow();
  expect((await server.ask()).status).toBe(200);
  undo();
  (await server.open("/watch")).destroy();
});

test("dropping everything refuses connections at once", async () => {
  await using server = await serve({ drop: "all" });
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  expect(await within(once(socket, "close"), 1000)).not.toBe("nothing");
});

test("frozen, a watch that stands goes silent without ending, and goes on afterwards", async () => {
  await using server = await serve();
  const watch = await server.open("/watch");
  watch.on("error", () => {});
  let bytes = 0;
  watch.on("data", (chunk: Buffer) => (bytes += chunk.length));
  await once(watch, "data");
  const undo = server.faults.freeze("watch");
  await sleep(50);
  const before = bytes;
  await sleep(100);
  expect(bytes).toBe(before);
  expect(watch.closed).toBe(false);
  const second = server.open("/watch");
  expect(
    await within(
      second.catch(() => "cut"),
      100,
    ),
  ).toBe("nothing");
  expect((await server.ask()).status).toBe(200);
  undo();
  expect(await second.catch(() => "cut")).toBe("cut");
  await once(watch, "data");
  expect(bytes).toBeGreaterThan(before);
  watch.destroy();
});

test("a delay holds every request up", async () => {
  await using server = await serve({ delay: { ms: 150 } });
  const start = Date.now();
  await server.ask();
  expect(Date.now() - start).toBeGreaterThanOrEqual(149);
});

test("a slow link: latency both ways, a rate, and bytes that all arrive in order", async () => {
  await using server = await serve({ slowLink: { latencyMs: 60 } });
  let start = performance.now();
  await server.ask();
  expect(performance.now() - start).toBeGreaterThan(115);
  const undo = server.faults.slowLink({ bytesPerSecond: 500_000 });
  server.faults.dropConnections();
  start = performance.now();
  expect((await server.ask("/big")).body).toBe("x".repeat(200_000));
  const took = performance.now() - start;
  expect(took).toBeGreaterThan(350);
  expect(took).toBeLessThan(10_000);
  undo();
});

test("a slow link holds the sender back, and passes on ends both ways", async () => {
  const faults = createFaults({ slowLink: { latencyMs: 5, bytesPerSecond: 10_000_000 } });
  let sent = 0;
  let ended = false;
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const stream = faults.connection(socket)!;
    stream.on("error", () => {});
    stream.on("end", () => {
      ended = true;
      const more = (): void => {
        let room = true;
        while (room && sent < 40_000_000) {
          room = stream.write(Buffer.alloc(65_536));
          sent += 65_536;
        }
        if (sent >= 40_000_000 && !stream.writableEnded) stream.end("last");
      };
      stream.on("drain", more);
      more();
    });
    stream.resume();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  client.end("hello");
  await expect.poll(() => ended).toBe(true);
  await sleep(300);
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(20_000_000);
  // A link that stands follows the last one asked for.
  faults.slowLink({});
  let got = 0;
  let tail = "";
  client.on("data", (chunk: Buffer) => {
    got += chunk.length;
    tail = (tail + chunk.subarray(-4).toString()).slice(-4);
  });
  await once(client, "end");
  expect([got, tail]).toEqual([sent + 4, "last"]);
  server.close();
});

test("a pod's readiness flaps over what its node says, which comes back", async () => {
  const store = createStore();
  const faults = createFaults();
  expect(() => faults.setReadiness("default", "web", false)).toThrow(expect.objectContaining({ code: "TESTKIT_OPTIONS_INVALID" }));
  faults.wire({ store });
  const status = (ready: string) => ({ phase: "Running", conditions: [{ type: "Ready", status: ready, lastTransitionTime: "" }] });
  store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "default" },
    spec: { containers: [{ name: "main" }] },
    status: status("True"),
  });
  const ready = (): string => store.get("pods", "default", "web")!["status"].conditions[0].status;
  const seen: string[] = [];
  store.subscribe(() => seen.push(ready()));
  const undo = faults.flapReadiness("default", "web", 20);
  await expect.poll(() => seen.slice(0, 4)).toEqual(["False", "True", "False", "True"]);
  undo();
  expect(ready()).toBe("True");

  const undoFixed = faults.setReadiness("default", "web", false);
  store.mutate("pods", "default", "web", (copy) => {
    copy["status"] = { ...status("True"), podIP: "10.0.0.1" };
  });
  expect(ready()).toBe("False");
  expect(store.get("pods", "default", "web")!["status"].podIP).toBe("10.0.0.1");
  undoFixed();
  expect(ready()).toBe("True");
});

test("pods and the server are the wired parts' business", async () => {
  const calls: string[] = [];
  const faults = createFaults();
  faults.wire({
    killPod: (namespace, name) => void calls.push(`kill ${namespace}/${name}`),
    hangPod: (namespace, name) => {
      calls.push(`hang ${namespace}/${name}`);
      return () => void calls.push(`go on ${namespace}/${name}`);
    },
    restart: async () => void calls.push("restart"),
  });
  await faults.killPod("ns", "a");
  faults.hangPod("ns", "b")();
  await faults.restartApiServer();
  expect(calls).toEqual(["kill ns/a", "hang ns/b", "go on ns/b", "restart"]);
});
