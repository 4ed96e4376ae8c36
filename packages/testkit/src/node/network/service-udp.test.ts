import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createCloser } from "@shipside/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Backend, ServiceRoute } from "./endpoints.ts";
import { createServiceListeners } from "./service-listeners.ts";

const LOCAL = "127.0.0.1";
/** Nobody else's ports are there, where there is such an address. */
const IP = process.platform === "linux" ? `127.90.${process.pid % 250}.${1 + Math.floor(Math.random() * 250)}` : LOCAL;
let closer = createCloser();
let one: Backend;
let two: Backend;
let port: number;
beforeEach(async () => {
  closer = createCloser();
  [one, two] = [await answering("one"), await answering("two")];
  const free = await bound(IP);
  port = free.address().port;
  free.close();
});
afterEach(() => closer.close());

async function bound(at = LOCAL): Promise<Socket> {
  const socket = createSocket("udp4");
  socket.bind(0, at);
  await once(socket, "listening");
  return socket;
}

/** A program that answers each datagram with its name and what came, and to "twice" with two. */
async function answering(name: string): Promise<Backend> {
  const socket = await bound();
  socket.on("message", (datagram, from) => {
    for (let n = `${datagram}` === "twice" ? 2 : 1; n > 0; n--) socket.send(`${name} ${datagram}`, from.port, from.address);
  });
  closer.defer(() => socket.close());
  return { ip: LOCAL, port: socket.address().port };
}

async function client(): Promise<(text: string, answers?: number) => Promise<string[]>> {
  const socket = await bound();
  closer.defer(() => socket.close());
  return async (text, answers = 1) => {
    const got: string[] = [];
    const all = new Promise<void>((resolve) => {
      const onMessage = (datagram: Buffer, from: { port: number }): void => {
        expect(from.port).toBe(port);
        if (got.push(`${datagram}`) < answers) return;
        socket.off("message", onMessage);
        resolve();
      };
      socket.on("message", onMessage);
    });
    socket.send(text, port, IP);
    await all;
    return got;
  };
}

const route = (backends: Backend[], affinityMs = 0): ServiceRoute => ({ port, protocol: "UDP", backends, affinityMs });
const serve = (udpIdleMs?: number) => closer.use(createServiceListeners(udpIdleMs === undefined ? {} : { udpIdleMs }));

test("clients are spread over the backends; each keeps its own, and has all its answers from the service's address", async () => {
  expect(await serve().set(IP, [route([one, two])])).toEqual([]);
  const [a, b] = [await client(), await client()];
  const [first] = await a("x");
  const name = first!.split(" ")[0];
  expect(await a("twice", 2)).toEqual([`${name} twice`, `${name} twice`]);
  expect(await b("x")).not.toEqual([first]);
});

test("a client that was silent for long enough is given a backend anew", async () => {
  await serve(100).set(IP, [route([one, two])]);
  const ask = await client();
  const [before] = await ask("x");
  await expect.poll(async () => (await ask("x"))[0], { interval: 300, timeout: 10_000 }).not.toBe(before);
});

test("with affinity it comes back to the same one after its silence", async () => {
  await serve(20).set(IP, [route([one, two], 60_000)]);
  const ask = await client();
  const [before] = await ask("x");
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await ask("x")).toEqual([before]);
  }
});

test("a backend that is none any more is left at once; a port without any isn't listened on", async () => {
  const listeners = serve();
  await listeners.set(IP, [route([one])]);
  const ask = await client();
  expect(await ask("x")).toEqual(["one x"]);
  await listeners.set(IP, [route([two])]);
  expect(await ask("x")).toEqual(["two x"]);
  await listeners.set(IP, [route([])]);
  const probe = createSocket("udp4").bind(port, IP);
  await once(probe, "listening");
  probe.close();
});

test("TCP and UDP on one number, and a port that somebody has is told by name", async () => {
  const taken = createSocket("udp4").bind(port, IP);
  await once(taken, "listening");
  const listeners = serve();
  expect(await listeners.set(IP, [route([one]), { ...route([one]), protocol: "TCP" }])).toEqual([
    expect.stringMatching(new RegExp(`^${IP}:${port}/UDP: .*EADDRINUSE`)),
  ]);
  taken.close();
  await once(taken, "close");
  expect(await listeners.set(IP, [route([one])])).toEqual([]);
  expect(await (await client())("x")).toEqual(["one x"]);
});
