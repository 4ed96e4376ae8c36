import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { ShipsideError } from "@shipside/core";
import { standstill } from "@shipside/testkit";
import { describe, expect, test } from "vitest";
import type { CarrierKind } from "./carrier.ts";
import { echoApp, firehoseApp, startApp } from "./fixtures/app.ts";
import { type FakeKubeletOptions, startFakeKubelet } from "./fixtures/kubelet.ts";
import { upgradeTo } from "./fixtures/upgrade.ts";
import { acceptHeaders, serveWebSocket, webSocketBytes } from "./fixtures/websocket.ts";
import { createPortForwardPool, type PortForwardPoolOptions } from "./pool.ts";

const POD = { namespace: "ns", name: "pod" };
const TUNNEL = "SPDY/3.1+portforward.k8s.io";
const CHANNEL = "v4.channel.k8s.io";

const protocolOf = (request: IncomingMessage): CarrierKind | undefined => {
  if (request.headers.upgrade === "SPDY/3.1") return "spdy";
  const offered = request.headers["sec-websocket-protocol"];
  return offered === TUNNEL ? "websocket" : offered === CHANNEL ? "channel" : undefined;
};

/** A server that lets through only some ways of asking, and what asked. */
async function startServer(lets: readonly CarrierKind[], options: { refuseWith?: number } & Partial<PortForwardPoolOptions> = {}) {
  const asked: Array<CarrierKind | undefined> = [];
  const { refuseWith = 400, ...pool } = options;
  const shared: FakeKubeletOptions = {
    answer(request) {
      const kind = protocolOf(request);
      asked.push(kind);
      return kind && lets.includes(kind) ? 101 : refuseWith;
    },
    protocolHeaders: (request) =>
      protocolOf(request) === "spdy"
        ? { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io" }
        : acceptHeaders(request),
    wrap: (request, socket) => (protocolOf(request) === "websocket" ? webSocketBytes(socket) : socket),
    ...(lets.includes("channel") && { script: (connection, request) => serveChannel(connection.socket, request) }),
  };
  const kubelet = await startFakeKubelet(shared);
  const forward = createPortForwardPool({ upgrade: upgradeTo(() => kubelet.port), ...pool });
  return {
    asked,
    kubelet,
    pool: forward,
    async [Symbol.asyncDispose]() {
      await forward.close();
      await kubelet[Symbol.asyncDispose]();
    },
  };
}

/** What a kubelet does for `v4.channel.k8s.io`: the port on each channel, then data on 0, a message on 1 where it failed. */
function serveChannel(socket: import("node:stream").Duplex, request: IncomingMessage): void {
  const port = Number(/ports=(\d+)/.exec(request.url ?? "")?.[1]);
  const pod = connect(port, "127.0.0.1");
  const ws = serveWebSocket(socket, {
    message: (payload) => void (payload[0] === 0 && pod.writable && pod.write(payload.subarray(1))),
    closed: () => pod.destroy(),
  });
  const head = Buffer.from([0, port & 0xff, port >> 8]);
  ws.message(head);
  ws.message(Buffer.from([1, port & 0xff, port >> 8]));
  pod.on("data", (chunk: Buffer) => {
    ws.message(Buffer.concat([Buffer.from([0]), chunk]), 2);
    if (!socket.writableNeedDrain) return;
    pod.pause();
    socket.once("drain", () => pod.resume());
  });
  pod.on("end", () => ws.close());
  pod.on("error", (error: NodeJS.ErrnoException) => {
    ws.message(
      Buffer.from(
        `\u0001error forwarding port ${port}: ${error.code === "ECONNREFUSED" ? "connect: connection refused" : error.message}`,
      ),
    );
    ws.close();
  });
}

async function roundTrip(pool: ReturnType<typeof createPortForwardPool>, port: number): Promise<void> {
  const stream = await pool.open(POD, port);
  const sent = Buffer.alloc(300_000, "shipside ");
  stream.write(sent);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk as Buffer);
    if (chunks.reduce((sum, one) => sum + one.length, 0) >= sent.length) break;
  }
  expect(Buffer.concat(chunks).equals(sent)).toBe(true);
}

describe("the carrier", () => {
  test.each<{ lets: CarrierKind[]; first: CarrierKind[] }>([
    { lets: ["spdy"], first: ["spdy"] },
    { lets: ["websocket"], first: ["spdy", "websocket"] },
    { lets: ["channel"], first: ["spdy", "websocket", "channel"] },
  ])("is found by asking where the server lets through only $lets", async ({ lets, first }) => {
    await using app = await startApp(echoApp);
    await using it = await startServer(lets);
    await roundTrip(it.pool, app.port);
    expect(it.asked.slice(0, first.length)).toEqual(first);
    expect(it.pool.stats().carrier).toBe(lets[0]);
    await roundTrip(it.pool, app.port);
    // What was refused once isn't asked for again.
    expect(it.asked.slice(first.length).every((kind) => kind === lets[0])).toBe(true);
  });

  test.each<CarrierKind>(["spdy", "websocket", "channel"])("%s tells a refused port as such", async (kind) => {
    const app = await startApp(echoApp);
    await app[Symbol.asyncDispose]();
    await using it = await startServer([kind]);
    await expect(it.pool.open(POD, app.port)).rejects.toMatchObject({ code: "DIAL_REFUSED" });
  });

  test("is not to blame where the kubelet has forgotten the pod before the API server has: that is a pod that is gone", async () => {
    let asked = 0;
    const upgrade = (): Promise<never> => {
      asked++;
      const details = { status: 500 };
      return Promise.reject(
        new ShipsideError("KUBE_SERVER_ERROR", 'could not create pods/portforward "p": pod not found ("p_ns")', { details }),
      );
    };
    await using pool = createPortForwardPool({ upgrade });
    await expect(pool.open(POD, 80)).rejects.toMatchObject({ code: "DIAL_GONE" });
    expect(asked).toBe(1);
  });

  test.each<CarrierKind>(["spdy", "websocket", "channel"])("%s ends when the pod ends", async (kind) => {
    await using app = await startApp((socket) => void socket.end("bye"));
    await using it = await startServer([kind]);
    const stream = await it.pool.open(POD, app.port);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe("bye");
    await expect.poll(() => it.pool.stats().streams).toBe(0);
  });

  test.each<CarrierKind>(["spdy", "websocket", "channel"])("%s makes the pod wait for a slow reader", async (kind) => {
    const counted = { written: 0 };
    await using app = await startApp(firehoseApp(counted));
    await using it = await startServer([kind], { carriers: [kind] });
    const stream = await it.pool.open(POD, app.port);
    await standstill(() => counted.written);
    expect(stream.readableLength).toBeLessThan(1.2 * 1024 * 1024);
    stream.destroy();
  });

  test("may be prescribed", async () => {
    await using app = await startApp(echoApp);
    await using it = await startServer(["spdy", "websocket"], { carriers: ["websocket"] });
    await roundTrip(it.pool, app.port);
    expect(new Set(it.asked)).toEqual(new Set(["websocket"]));
  });

  test("that pretends to switch and then lets nothing through is given up for the next one", async () => {
    await using app = await startApp(echoApp);
    await using real = await startServer(["websocket"]);
    const upgrade = upgradeTo(() => real.kubelet.port);
    const blackHole = await startApp(
      (socket) =>
        void socket.once("data", () => socket.write("HTTP/1.1 101 Sure\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n")),
    );
    await using pool = createPortForwardPool({
      upgrade: (request) => (request.method === "POST" ? upgradeTo(() => blackHole.port)(request) : upgrade(request)),
      connectMs: 1_000,
    });
    await roundTrip(pool, app.port);
    expect(pool.stats().carrier).toBe("websocket");
    await pool.close();
    await blackHole[Symbol.asyncDispose]();
  });

  test("is asked for anew where the one that worked is refused later", async () => {
    await using app = await startApp(echoApp);
    const lets: CarrierKind[] = ["spdy"];
    await using it = await startServer(lets, { refuseWith: 403, idleMs: 0 });
    await roundTrip(it.pool, app.port);
    await expect.poll(() => it.pool.stats().connections, { timeout: 5_000 }).toBe(0);
    lets.splice(0, 1, "websocket");
    await roundTrip(it.pool, app.port);
    expect(it.pool.stats().carrier).toBe("websocket");
  });

  test("that nobody lets through is told with the first reason, and all of them as causes", async () => {
    await using it = await startServer([], { refuseWith: 403 });
    await expect(it.pool.open(POD, 80)).rejects.toMatchObject({
      code: "DIAL_FAILED",
      cause: { errors: [{ details: { status: 403 } }, { details: { status: 403 } }, { details: { status: 403 } }] },
    });
  });

  test.each([401, 429])("is not what HTTP %d is about", async (refuseWith) => {
    await using it = await startServer([], { refuseWith });
    await expect(it.pool.open(POD, 80)).rejects.toMatchObject({ code: "DIAL_FAILED", cause: { details: { status: refuseWith } } });
    expect(it.asked).toEqual(["spdy"]);
  });

  test("channel gives each stream a connection, and closes it with the stream", async () => {
    await using app = await startApp(echoApp);
    await using it = await startServer(["channel"]);
    const streams = await Promise.all([1, 2, 3].map(() => it.pool.open(POD, app.port)));
    expect(it.pool.stats()).toMatchObject({ carrier: "channel", connections: 3, streams: 3 });
    for (const stream of streams) stream.destroy();
    await expect.poll(() => it.kubelet.connections.length).toBe(0);
    expect(it.pool.stats()).toMatchObject({ connections: 0, streams: 0 });
  });

  test("channel that breaks off is a reset", async () => {
    await using app = await startApp(echoApp);
    await using it = await startServer(["channel"]);
    const stream = await it.pool.open(POD, app.port);
    it.kubelet.connections.at(-1)?.socket.destroy();
    expect((await once(stream, "error"))[0]).toMatchObject({ code: "ECONNRESET" });
  });
});
