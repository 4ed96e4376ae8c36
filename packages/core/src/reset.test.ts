import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { resetStream } from "./reset.ts";

async function pair(): Promise<{ near: Socket; far: Socket; [Symbol.dispose](): void }> {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const near = connect({ port: (server.address() as { port: number }).port, host: "127.0.0.1", allowHalfOpen: true });
  const [far] = (await once(server, "connection")) as [Socket];
  if (near.connecting) await once(near, "connect");
  server.close();
  for (const socket of [near, far]) socket.on("error", () => {});
  return {
    near,
    far,
    [Symbol.dispose]() {
      near.destroy();
      far.destroy();
    },
  };
}

const before: Array<[string, (socket: Socket) => void | Promise<void>]> = [
  ["that is open", () => {}],
  ["that was ended in the same tick", (socket) => void socket.end()],
  ["that was ended in the tick before", (socket) => new Promise((resolve) => socket.end() && process.nextTick(resolve))],
  ["that was ended long ago", (socket) => new Promise((resolve) => socket.end(resolve))],
  [
    "that has bytes to send, and an end",
    (socket) => {
      while (socket.write(Buffer.alloc(65_536)));
      for (let i = 0; i < 200; i++) socket.write(Buffer.alloc(65_536));
      socket.end();
    },
  ],
];

test.each(before)("a socket %s is closed here, and reset there", async (_name, prepare) => {
  using sockets = await pair();
  const { near, far } = sockets;
  const closed = once(near, "close");
  // Who never reads wouldn't be told.
  const told = new Promise<string>((resolve) => far.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "?")));
  const sending = setInterval(() => far.write("x"), 10);
  await prepare(near);
  resetStream(near);
  await closed;
  far.resume();
  expect(await told).toMatch(/ECONNRESET|EPIPE/);
  clearInterval(sending);
});
