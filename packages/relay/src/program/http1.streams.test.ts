import { createHash } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { standstill } from "@shipside/testkit";
import { describe, expect, test } from "vitest";
import { mine } from "./fixtures/requests.ts";
import { listenHttp, listenRaw, startRig } from "./fixtures/rig.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
/** Bytes of memory that are in use, and not only not yet given back. */
const retained = (): number => {
  collect();
  // What the first one found is given back by another thread; the second waits for that.
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

describe("streams", () => {
  const echoUpgrade = (socket: Socket): void => {
    socket.once("data", () => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
      socket.on("data", (chunk) => socket.write(chunk));
      socket.on("end", () => socket.end("bye"));
    });
  };

  test.each([
    ["the pods", ""],
    ["a developer", "X-User: me\r\n"],
  ])("a WebSocket to %s: bytes both ways, each end by itself", async (_who, flag) => {
    await using pods = await listenRaw(echoUpgrade);
    await using laptop = await listenRaw(echoUpgrade);
    await using rig = await startRig(pods.port);
    rig.lease("me", mine, laptop.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1", allowHalfOpen: true });
    socket.write(`GET /ws HTTP/1.1\r\nHost: s\r\n${flag}Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
    const [head] = (await once(socket, "data")) as [Buffer];
    expect(head.toString()).toContain("101 Switching");
    for (const word of ["\x81\x05hello", "GET / HTTP/1.1\r\n\r\n"]) {
      socket.write(word);
      expect(String((await once(socket, "data"))[0])).toBe(word);
    }
    const rest = text(Readable.from(socket));
    socket.end();
    expect(await rest).toBe("bye");
    expect([pods.connections, laptop.connections]).toEqual(flag ? [0, 1] : [1, 0]);
  });

  test("events come one by one, and end when the client goes", async () => {
    let closed = false;
    await using pods = await listenHttp((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      let n = 0;
      const timer = setInterval(() => response.write(`data: ${n++}\n\n`), 20);
      response.once("close", () => {
        clearInterval(timer);
        closed = true;
      });
    });
    await using rig = await startRig(pods.port);
    const abort = new AbortController();
    const response = await fetch(`http://127.0.0.1:${rig.port}/`, { signal: abort.signal });
    const events: string[] = [];
    for await (const chunk of response.body!) {
      events.push(Buffer.from(chunk).toString());
      if (events.length === 5) break;
    }
    abort.abort();
    expect(events.length).toBe(5);
    await expect.poll(() => closed).toBe(true);
  });

  test.each([
    ["the pods", {}],
    ["a developer", { "x-user": "me" }],
  ])(
    "100 MiB both ways through %s, in constant memory",
    async (_who, headers) => {
      const size = 100 * 1024 * 1024;
      await using server = await listenHttp((request, response) => {
        response.writeHead(200, { "content-length": String(size) });
        request.pipe(response);
      });
      await using rig = await startRig(server.port);
      rig.lease("me", mine, server.port);
      const before = retained();
      const grown: number[] = [];
      const chunk = Buffer.alloc(1024 * 1024, "x");
      const [sent, got] = [createHash("sha256"), createHash("sha256")];
      const request = httpRequest({
        port: rig.port,
        method: "POST",
        headers: { ...headers, "content-length": size },
        agent: false,
      });
      Readable.from(
        (function* () {
          for (let i = 0; i < 100; i++) {
            sent.update(chunk);
            yield chunk;
          }
        })(),
        { objectMode: false },
      ).pipe(request);
      const [response] = (await once(request, "response")) as [Readable];
      let arrived = 0;
      for await (const part of response) {
        got.update(part as Buffer);
        arrived += (part as Buffer).length;
        if (arrived > (grown.length + 1) * 20 * 1024 * 1024) grown.push(retained() - before);
      }
      expect(got.digest("hex")).toBe(sent.digest("hex"));
      // Client and server are in this process too.
      expect(Math.max(...grown)).toBeLessThan(16 * 1024 * 1024);
    },
    60_000,
  );

  test("a server that doesn't read makes the client wait", async () => {
    await using pods = await listenRaw((socket) => void socket.once("data", () => socket.pause()));
    await using rig = await startRig(pods.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1" });
    let written = 0;
    socket.write("POST / HTTP/1.1\r\nHost: s\r\nContent-Length: 1000000000\r\n\r\n");
    const chunk = Buffer.alloc(65_536);
    const pump = (): void => {
      while (!socket.destroyed && written < 256 * 1024 * 1024) {
        written += chunk.length;
        if (!socket.write(chunk)) {
          socket.once("drain", pump);
          return;
        }
      }
    };
    pump();
    expect(await standstill(() => written)).toBeLessThan(32 * 1024 * 1024);
    socket.destroy();
  });

  test("a client that doesn't read makes the server wait", async () => {
    let written = 0;
    await using pods = await listenRaw((socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        const chunk = Buffer.alloc(65_536);
        const pump = (): void => {
          while (!socket.destroyed && written < 256 * 1024 * 1024) {
            written += chunk.length;
            if (!socket.write(chunk)) return void socket.once("drain", pump);
          }
        };
        pump();
      });
    });
    await using rig = await startRig(pods.port);
    const socket = connect({ port: rig.port, host: "127.0.0.1" });
    socket.pause();
    socket.write("GET / HTTP/1.1\r\nHost: s\r\n\r\n");
    expect(await standstill(() => written)).toBeLessThan(32 * 1024 * 1024);
    socket.destroy();
  });
});
