import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, expect, it } from "vitest";
import { createCloser } from "./closer.ts";
import { splice } from "./splice.ts";

let closer = createCloser();
afterEach(async () => {
  await closer.close();
  closer = createCloser();
});

/** Two ends of a TCP connection over loopback. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const near = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  if (near.connecting) await once(near, "connect");
  server.close();
  for (const socket of [near, far]) {
    socket.on("error", () => {});
    closer.defer(() => socket.destroy());
  }
  return [near, far];
}

/** client <-> a =splice= b <-> server */
async function spliced(options = {}) {
  const [client, a] = await pair();
  const [b, server] = await pair();
  return { client, a, b, server, result: splice(a, b, options) };
}

it("carries a half-close, and the reply that comes after it", async () => {
  const { client, server, result } = await spliced();
  client.end("question");
  expect(await text(server)).toBe("question");
  server.end("answer");
  expect(await text(client)).toBe("answer");
  expect(await result).toEqual({ bytesAtoB: 8, bytesBtoA: 6 });
});

it("carries a half-close of the far side while the near one goes on sending", async () => {
  const { client, server, result } = await spliced();
  server.end("banner");
  expect(await text(client)).toBe("banner");
  client.write("one ");
  client.end("two");
  expect(await text(server)).toBe("one two");
  expect((await result).error).toBeUndefined();
});

it("withholds the end of a when asked, and ends b once b has ended", async () => {
  const { client, server, result } = await spliced({ passEndOfA: false });
  client.end("question");
  await once(server, "data");
  let ended = false;
  server.once("end", () => (ended = true));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(ended).toBe(false);
  server.end("answer");
  server.resume();
  expect(await text(client)).toBe("answer");
  await result;
});

it.each(["client", "server"] as const)("carries a reset of the %s as a reset", async (who) => {
  const sides = await spliced();
  const other = who === "client" ? sides.server : sides.client;
  sides.client.write("x");
  sides.server.write("y");
  await Promise.all([once(sides.server, "data"), once(sides.client, "data")]);
  const failed = once(other, "error");
  sides[who].resetAndDestroy();
  expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe("ECONNRESET");
  expect(((await sides.result).error as NodeJS.ErrnoException).code).toBe("ECONNRESET");
});

it("stops reading one side while the other doesn't take the bytes", async () => {
  const { client, server, result } = await spliced();
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  server.pause();
  // Sockets' own buffers take some megabytes; an unbounded splice would take it all.
  while (sent < 256 * 1024 * 1024) {
    sent += chunk.length;
    if (!client.write(chunk)) {
      const drained = await Promise.race([
        once(client, "drain").then(() => true),
        new Promise((r) => setTimeout(() => r(false), 300)),
      ]);
      if (!drained) break;
    }
  }
  expect(sent).toBeLessThan(64 * 1024 * 1024);
  let received = 0;
  server.on("data", (data: Buffer) => (received += data.length));
  server.resume();
  client.end();
  await once(server, "end");
  expect(received).toBe(sent);
  server.end();
  expect((await result).bytesAtoB).toBe(sent);
});

it("resets both sides when the signal fires", async () => {
  const abort = new AbortController();
  const { client, server, result } = await spliced({ signal: abort.signal });
  const both = Promise.all([once(client, "error"), once(server, "error")]);
  abort.abort(new Error("enough"));
  await both;
  expect((await result).error?.message).toBe("enough");
});

it("ends at once where a side is already gone", async () => {
  const [client, a] = await pair();
  const [b] = await pair();
  b.destroy();
  const failed = once(client, "error");
  expect(await splice(a, b)).toEqual({ bytesAtoB: 0, bytesBtoA: 0 });
  await failed;

  const gone = (): Duplex => new Duplex({ read() {} }).destroy();
  const [x, y] = [gone(), gone()];
  await new Promise((resolve) => setImmediate(resolve));
  expect(await splice(x, y)).toEqual({ bytesAtoB: 0, bytesBtoA: 0 });
});

it("sockets of the file system, which know no reset, are closed where one is due", async () => {
  const directory = await mkdtemp(join(tmpdir(), "splice-"));
  closer.defer(() => rm(directory, { recursive: true }));
  const server = createServer().listen(join(directory, "s"));
  await once(server, "listening");
  const near = connect(join(directory, "s"));
  const [far] = (await once(server, "connection")) as [Socket];
  server.close();
  const [client, a] = await pair();
  const result = splice(a, far);
  const closed = once(near, "close");
  client.resetAndDestroy();
  expect((await result).error).toMatchObject({ code: "ECONNRESET" });
  await closed;
});

it("leaves no listener on the signal", async () => {
  const abort = new AbortController();
  let listeners = 0;
  const signal = abort.signal;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  const { client, server, result } = await spliced({ signal });
  client.end();
  server.end();
  client.resume();
  server.resume();
  await result;
  expect(listeners).toBe(0);
});
