import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { standstill } from "../contracts/standstill.ts";
import type { NodeRuntime } from "../node/runtime.ts";
import { type SpdyTestClient, spdyOver, upgrade, webSocketOver } from "./fixtures/spdy-test-client.ts";
import { createUpgradeHandler } from "./upgrade-handler.ts";

const SPDY = { Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io" };

/** A pod whose port 80 is served by `app`, behind an API server that is nothing but the upgrade. */
async function serve(app: (socket: Socket) => void) {
  const pods = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    app(socket);
  }).listen(0, "127.0.0.1");
  await once(pods, "listening");
  const node = {
    async dialPod(_namespace: string, pod: string, port: number) {
      if (pod === "gone") throw Object.assign(new Error('pod "gone" not found'), { code: "NotFound" });
      const socket = connect({
        host: "127.0.0.1",
        port: port === 80 ? (pods.address() as AddressInfo).port : 1,
        allowHalfOpen: true,
      });
      await once(socket, "connect");
      return socket;
    },
  } as unknown as NodeRuntime;
  const handler = createUpgradeHandler();
  const api = createHttpServer().listen(0, "127.0.0.1");
  await once(api, "listening");
  const open = new Set<Socket>();
  api.on("connection", (socket) => open.add(socket));
  api.on("upgrade", (request, socket, head) => {
    const url = new URL(request.url!, "http://x");
    handler(
      { request, socket, head, namespace: "ns", pod: url.pathname.slice(1), subresource: "portforward", query: url.searchParams },
      node,
    );
  });
  const { port } = api.address() as AddressInfo;
  return {
    port,
    async spdy(pod = "web"): Promise<SpdyTestClient> {
      const { status, socket } = await upgrade(port, `/${pod}`, SPDY);
      expect(status).toMatch(/^HTTP\/1.1 101 [\s\S]*Upgrade: SPDY\/3.1/);
      return spdyOver(socket);
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      api.close();
      pods.close();
    },
  };
}

const pair = async (client: SpdyTestClient, first: number, port = 80, stored = false): Promise<number> => {
  const common = { port: String(port), requestid: String(first) };
  await client.open(first, { streamtype: "error", ...common }, { stored });
  await client.open(first + 2, { streamtype: "data", ...common }, { stored });
  return first + 2;
};

const echo = (socket: Socket): void => void socket.pipe(socket);

for (const stored of [false, true]) {
  test(`many connections over one, headers ${stored ? "stored" : "compressed"}`, async () => {
    await using api = await serve(echo);
    const client = await api.spdy();
    for (let i = 0; i < 20; i++) {
      const data = await pair(client, 1 + i * 4, 80, stored);
      client.data(data, `hello ${i}`);
    }
    for (let i = 0; i < 20; i++) {
      await client.until(() => client.received(3 + i * 4).length === `hello ${i}`.length);
      expect(client.received(3 + i * 4).toString()).toBe(`hello ${i}`);
    }
    // The replies' header blocks are one zlib stream that zlib itself can follow.
    for (const reply of client.frames.filter((frame) => frame.type === 2)) {
      expect(await client.unpack(reply.body.subarray(4))).toEqual(Buffer.alloc(4));
    }
    expect(client.frames.filter((frame) => frame.type === 2)).toHaveLength(40);
  });
}

test("a ping is answered, an unknown kind of stream is reset", async () => {
  await using api = await serve(echo);
  const client = await api.spdy();
  client.ping(7);
  expect((await client.until((frame) => frame.type === 6)).id).toBe(7);
  await client.open(1, { streamtype: "nonsense", port: "80", requestid: "0" });
  expect((await client.until((frame) => frame.type === 3)).id).toBe(1);
});

test("the client's FIN reaches the pod a second later, with the connection's end, and a later answer is lost", async () => {
  let endAfter = 0;
  await using api = await serve((socket) => {
    const start = Date.now();
    socket.on("data", () => setTimeout(() => socket.write("in time "), 300));
    socket.on("end", () => {
      endAfter = Date.now() - start;
      socket.end("too late");
    });
  });
  const client = await api.spdy();
  const data = await pair(client, 1);
  client.data(data, "request", true);
  expect((await client.ended(data)).toString()).toBe("in time ");
  await sleep(50);
  expect(endAfter).toBeGreaterThan(900);
  expect(endAfter).toBeLessThan(5_000);
  expect((await client.ended(1)).toString()).toBe("");
});

test("after the pod's FIN the client can send for one more second", async () => {
  let got = "";
  await using api = await serve((socket) => {
    socket.end("bye");
    socket.on("data", (chunk) => (got += chunk));
  });
  const client = await api.spdy();
  const data = await pair(client, 1);
  await client.until(() => client.received(data).length === 3);
  await sleep(300);
  client.data(data, "still here");
  const start = Date.now();
  expect((await client.ended(data)).toString()).toBe("bye");
  expect(got).toBe("still here");
  expect(Date.now() - start).toBeGreaterThan(400);
});

test("both ends' FINs end it at once", async () => {
  await using api = await serve((socket) => void socket.end("bye"));
  const took: number[] = [];
  // The fastest of some: one end alone takes a second, each time.
  while (took.length < 5 && !took.some((ms) => ms < 800)) {
    const client = await api.spdy();
    const start = Date.now();
    const data = await pair(client, 1);
    client.data(data, "x", true);
    await client.ended(data);
    took.push(Date.now() - start);
  }
  expect(Math.min(...took)).toBeLessThan(800);
});

test("the client's reset is a FIN to the pod", async () => {
  let resolve: (how: string) => void = () => {};
  const promise = new Promise<string>((done) => (resolve = done));
  await using api = await serve((socket) => {
    socket.resume();
    socket.on("end", () => resolve("FIN"));
    socket.on("error", (error) => resolve(String(error)));
  });
  const client = await api.spdy();
  const data = await pair(client, 1);
  client.data(data, "x");
  client.reset(data);
  expect(await promise).toBe("FIN");
});

test("the pod's reset is a clean end of data, then a message on the error stream", async () => {
  await using api = await serve((socket) => {
    socket.write("half an ans");
    socket.once("data", () => setTimeout(() => socket.resetAndDestroy(), 100));
  });
  const client = await api.spdy();
  const data = await pair(client, 1);
  client.data(data, "x");
  expect((await client.ended(1)).toString()).toMatch(
    /^error forwarding port 80 to pod [0-9a-f]{64}, uid : failed to execute portforward in network namespace "[^"]+": read tcp4 127.0.0.1:\d+->127.0.0.1:80: read: connection reset by peer$/,
  );
  expect(client.received(data).toString()).toBe("half an ans");
  const ends = client.frames.filter((frame) => frame.type === "data" && frame.flags === 1).map((frame) => frame.id);
  expect(ends).toEqual([data, 1]);
});

test("refused and gone are messages on the error stream, the connection lives on", async () => {
  await using api = await serve(echo);
  const client = await api.spdy();
  const refused = await pair(client, 1, 81);
  client.data(refused, "into the void");
  expect((await client.ended(1)).toString()).toMatch(/dial tcp4 127.0.0.1:81: connect: connection refused/);
  expect((await client.ended(refused)).length).toBe(0);
  const data = await pair(client, 5);
  client.data(data, "ok");
  await client.until(() => client.received(data).toString() === "ok");

  const gone = await api.spdy("gone");
  await pair(gone, 1);
  expect((await gone.ended(1)).toString()).toMatch(/failed to find sandbox "[0-9a-f]{64}" in store: not found/);
});

test("there is no flow control: a stalled pod holds up its whole connection, and only that", async () => {
  let stalled: Socket | undefined;
  await using api = await serve((socket) => {
    socket.once("data", (first) => {
      if (first[0] === 0) {
        stalled = socket;
        socket.pause();
      } else {
        socket.write(first);
        echo(socket);
      }
    });
  });
  const client = await api.spdy();
  const bad = await pair(client, 1);
  const good = await pair(client, 5);
  client.data(good, "a");
  await client.until(() => client.received(good).length === 1);
  for (let i = 0; i < 16; i++) client.data(bad, Buffer.alloc(1 << 20));
  client.data(good, "b");
  const other = await api.spdy();
  const fine = await pair(other, 1);
  other.data(fine, "c");
  await other.until(() => other.received(fine).length === 1);
  await sleep(200);
  expect(client.received(good).toString()).toBe("a");
  stalled!.on("data", () => {});
  stalled!.resume();
  await client.until(() => client.received(good).toString() === "ab");
});

test("a client that stops reading holds the pod back", async () => {
  let written = 0;
  await using api = await serve((socket) => {
    const chunk = Buffer.alloc(1 << 16);
    const more = (): void => {
      while (written < 256 << 20 && socket.write(chunk)) written += chunk.length;
    };
    socket.on("drain", more);
    more();
  });
  const client = await api.spdy();
  client.carrier.pause();
  await pair(client, 1);
  expect(await standstill(() => written)).toBeLessThan(64 << 20);
});

test("the client's connection gone, the pods' connections go at once", async () => {
  let closed = (): void => {};
  await using api = await serve((socket) => {
    socket.resume();
    socket.on("close", () => closed());
    socket.on("end", () => socket.end());
  });
  const took: number[] = [];
  // The fastest of some: a FIN alone takes a second, each time.
  while (took.length < 5 && !took.some((ms) => ms < 900)) {
    const gone = new Promise<void>((done) => (closed = done));
    const client = await api.spdy();
    const data = await pair(client, 1);
    client.data(data, "x");
    await client.until((frame) => frame.type === 2 && frame.id === data);
    client.close();
    const start = Date.now();
    await gone;
    took.push(Date.now() - start);
  }
  expect(Math.min(...took)).toBeLessThan(900);
});

test("SPDY inside a WebSocket, cut anywhere, fragmented, with masks", async () => {
  await using api = await serve(echo);
  const { status, socket } = await upgrade(api.port, "/web", {
    Upgrade: "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io",
  });
  // The key and the answer of RFC 6455's example.
  expect(status).toMatch(
    /101 [\s\S]*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=[\s\S]*Sec-WebSocket-Protocol: SPDY\/3.1\+portforward.k8s.io/,
  );
  const stream = webSocketOver(socket);
  const client = await spdyOver(stream);
  const write = stream.write.bind(stream);
  // Each frame in pieces of all sizes.
  stream.write = ((bytes: Buffer) => {
    for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 3) % 70001) write(bytes.subarray(at, at + size));
    return true;
  }) as typeof stream.write;
  const data = await pair(client, 1);
  const big = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) & 0xff));
  client.data(data, big);
  await client.until(() => client.received(data).length === big.length);
  expect(client.received(data).equals(big)).toBe(true);
  stream.ping();
  client.data(data, "", true);
  await client.ended(data);
  expect(stream.pongs).toBe(1);
  socket.destroy();
});

test("v4.channel.k8s.io: ports first, then bytes; several ports in one", async () => {
  await using api = await serve(echo);
  const socket = new WebSocket(`ws://127.0.0.1:${api.port}/web?ports=80,81`, ["v4.channel.k8s.io"]);
  const messages: Buffer[] = [];
  socket.on("message", (message: Buffer) => messages.push(message));
  await once(socket, "open");
  const channel = (id: number): Buffer => Buffer.concat(messages.filter((m) => m[0] === id).map((m) => m.subarray(1)));
  const big = Buffer.from(Array.from({ length: 100_000 }, (_, i) => (i * 3) & 0xff));
  socket.send(Buffer.concat([Buffer.from([0]), big]));
  while (channel(0).length < big.length + 2) await once(socket, "message");
  expect(channel(0).equals(Buffer.concat([Buffer.from([80, 0]), big]))).toBe(true);
  expect(channel(1)).toEqual(Buffer.from([80, 0]));
  expect(channel(2)).toEqual(Buffer.from([81, 0]));
  expect(channel(3).toString()).toMatch(/^Q\0error forwarding port 81 to pod .*connection refused/);
  socket.close();
  await once(socket, "close");
});

test("an upgrade that can't be served is refused", async () => {
  await using api = await serve(echo);
  const status = async (headers: Record<string, string>): Promise<string> => {
    const { status, socket } = await upgrade(api.port, "/web", headers);
    socket.destroy();
    return status.split("\r\n")[0]!;
  };
  expect(await status({ Upgrade: "SPDY/3.1" })).toBe("HTTP/1.1 400 Bad Request");
  expect(await status({ Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "other" })).toBe("HTTP/1.1 403 Forbidden");
  expect(await status({ Upgrade: "h2c" })).toBe("HTTP/1.1 400 Bad Request");
  const socket = new WebSocket(`ws://127.0.0.1:${api.port}/web`, ["other"]);
  expect(String(await once(socket, "error").then(([error]) => error))).toMatch(/400/);
});
