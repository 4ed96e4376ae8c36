import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { createCloser } from "./closer.ts";
import { readInLargePieces } from "./large-reads.ts";

let closer = createCloser();
afterEach(async () => {
  await closer.close();
  closer = createCloser();
});

const MIB = 1024 * 1024;

interface Ends {
  client: Socket;
  accepted: Socket;
  server: Server;
}

/** A TCP connection over loopback, whose accepted end nobody has read from. */
async function connected(): Promise<Ends> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", allowHalfOpen: true });
  const [accepted] = (await once(server, "connection")) as [Socket];
  for (const socket of [client, accepted]) socket.on("error", () => {});
  closer.defer(() => {
    client.destroy();
    server.close();
  });
  return { client, accepted, server };
}

it("gives every byte in its order, in pieces larger than Node's, and leaves alone what somebody keeps", async () => {
  const { client, accepted } = await connected();
  const sent = randomBytes(16 * MIB);
  client.end(sent);
  // What lies there before anybody reads is had as well.
  await sleep(50);
  const socket = readInLargePieces(accepted);
  closer.defer(() => socket.destroy());
  const pieces: Buffer[] = [];
  socket.on("data", (piece: Buffer) => pieces.push(piece));
  await once(socket, "end");
  expect(Buffer.concat(pieces).equals(sent)).toBe(true);
  expect(Math.max(...pieces.map(({ length }) => length))).toBeGreaterThan(64 * 1024);
});

it("writes, ends each way by itself, and closes the given one and so its server after it", async () => {
  const { client, accepted, server } = await connected();
  const socket = readInLargePieces(accepted);
  expect(socket).not.toBe(accepted);
  const closed = once(socket, "close");
  client.end("question");
  expect(String((await once(socket, "data"))[0])).toBe("question");
  await once(socket, "end");
  socket.end("answer");
  expect(String((await once(client, "data"))[0])).toBe("answer");
  await closed;
  expect(accepted.destroyed).toBe(true);
  await new Promise((resolve) => server.close(resolve));
});

it("holds up who sends while it is paused, and goes on from there", async () => {
  const { client, accepted } = await connected();
  const socket = readInLargePieces(accepted);
  closer.defer(() => socket.destroy());
  let received = 0;
  socket.on("data", (piece: Buffer) => {
    received += piece.length;
  });
  client.write(Buffer.alloc(1));
  while (received === 0) await sleep(5);
  socket.pause();
  client.write(Buffer.alloc(64 * MIB));
  await sleep(200);
  expect(received).toBe(1);
  expect(socket.readableLength).toBeLessThan(MIB);
  expect(client.writableLength).toBeGreaterThan(0);
  socket.resume();
  while (received <= 64 * MIB) await sleep(5);
  expect(received).toBe(64 * MIB + 1);
});

it("tells of a reset", async () => {
  const { client, accepted } = await connected();
  const socket = readInLargePieces(accepted);
  const failed = once(socket, "error");
  socket.resume();
  client.resetAndDestroy();
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
});

it("leaves a socket as it is whose handle isn't lent, or from which something was read", async () => {
  const { client, accepted } = await connected();
  client.write("early");
  accepted.resume();
  accepted.once("readable", () => {});
  while (accepted.readableLength === 0) await sleep(5);
  expect(readInLargePieces(accepted)).toBe(accepted);
  accepted.destroy();
  await once(accepted, "close");
  expect(readInLargePieces(accepted)).toBe(accepted);
});
