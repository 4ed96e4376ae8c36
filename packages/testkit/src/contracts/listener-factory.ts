import assert from "node:assert/strict";
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { connect, isIPv6, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { DatagramListener, Listener, ListenerFactory } from "@shipside/core";
import type { ContractCase } from "./contract.ts";
import { inTime, rejection } from "./settle.ts";

export interface ListenerFactorySubject extends AsyncDisposable {
  readonly factory: ListenerFactory;
  /** An address that the factory can make a listener on. */
  readonly address: string;
  /** Another one. Left out where there is just one. */
  readonly otherAddress?: string;
  /** Connects as a client in the listeners' world would. Default: from this process. */
  connect?(address: string, port: number): Promise<Socket>;
  /** A UDP socket in the listeners' world that can reach `address`. Default: one of this process. */
  datagrams?(address: string): Promise<DatagramSocket>;
}

export interface ListenerFactoryContractOptions {
  /** Shown before each case. Default "listener factory". */
  name?: string;
  /** A fresh subject for each case. */
  open(): Promise<ListenerFactorySubject>;
}

/** What every {@link ListenerFactory} must do. */
export function listenerFactoryContract(options: ListenerFactoryContractOptions): ContractCase[] {
  const contract = (name: string, run: (subject: ListenerFactorySubject) => Promise<void>): ContractCase => ({
    name: `${options.name ?? "listener factory"}: ${name}`,
    async run() {
      await using subject = await options.open();
      await run(subject);
    },
  });
  const join = async (subject: ListenerFactorySubject, { address, port }: Listener): Promise<Socket> => {
    const socket = await inTime((subject.connect ?? connectHere)(address, port), `connecting to ${address}:${port}`);
    socket.on("error", () => {});
    return socket;
  };
  const accepted = async (listener: Listener): Promise<Socket> => {
    const [socket] = await inTime(once(listener.server, "connection"), "the connection");
    socket.on("error", () => {});
    return socket;
  };

  /** For factories that make UDP sockets. */
  const datagrams = (
    name: string,
    run: (subject: ListenerFactorySubject, bind: (port: number) => Promise<DatagramListener>) => Promise<void>,
  ): ContractCase =>
    contract(name, async (subject) => {
      const { factory, address } = subject;
      if (factory.listenDatagrams) await run(subject, (port) => factory.listenDatagrams!({ address, port }));
    });

  return [
    contract("port 0 is a free port, and the listener says which", async (subject) => {
      const listener = await subject.factory.listen({ address: subject.address, port: 0 });
      assert.equal(listener.address, subject.address);
      assert.ok(Number.isInteger(listener.port) && listener.port >= 1 && listener.port <= 65_535, `port ${listener.port}`);
      assert.equal(listener.server.listening, true);
      const [near, far] = await Promise.all([join(subject, listener), accepted(listener)]);
      far.end("hello");
      const [chunk] = await inTime(once(near, "data"), "bytes");
      assert.equal(String(chunk), "hello");
      near.destroy();
      await listener.close();
    }),

    contract("a port that is asked for is the one it gets", async (subject) => {
      const first = await subject.factory.listen({ address: subject.address, port: 0 });
      const { port } = first;
      await first.close();
      const second = await subject.factory.listen({ address: subject.address, port });
      assert.equal(second.port, port);
      (await join(subject, second)).destroy();
      await second.close();
    }),

    contract("connections wait, paused, for whoever takes them: no byte is lost", async (subject) => {
      const listener = await subject.factory.listen({ address: subject.address, port: 0 });
      const [near, far] = await Promise.all([join(subject, listener), accepted(listener)]);
      near.write("early");
      await sleep(100);
      assert.equal(far.bytesRead, 0, "nothing is read before somebody takes the connection");
      let got = "";
      far.on("data", (chunk) => (got += chunk));
      far.resume();
      near.write(" late");
      for (let i = 0; i < 100 && got.length < 10; i++) await sleep(10);
      assert.equal(got, "early late");
      near.destroy();
      far.destroy();
      await listener.close();
    }),

    contract("half-open is allowed: an answer after the client's FIN arrives", async (subject) => {
      const listener = await subject.factory.listen({ address: subject.address, port: 0 });
      const [near, far] = await Promise.all([join(subject, listener), accepted(listener)]);
      far.resume();
      far.on("end", () => setTimeout(() => far.end("answer"), 50));
      near.end("question");
      let got = "";
      near.on("data", (chunk) => (got += chunk));
      await inTime(once(near, "end"), "the end");
      assert.equal(got, "answer");
      await listener.close();
    }),

    contract("an address and port that are taken: LISTEN_IN_USE, and the first goes on", async (subject) => {
      const first = await subject.factory.listen({ address: subject.address, port: 0 });
      const again = subject.factory.listen({ address: subject.address, port: first.port });
      assert.equal(await rejection(again, "the second listener"), "LISTEN_IN_USE");
      (await join(subject, first)).destroy();
      await first.close();
    }),

    contract("the same port on two addresses", async (subject) => {
      if (!subject.otherAddress) return;
      const first = await subject.factory.listen({ address: subject.address, port: 0 });
      const second = await subject.factory.listen({ address: subject.otherAddress, port: first.port });
      const [, far] = await Promise.all([join(subject, second), accepted(second)]);
      assert.equal(far.localAddress, subject.otherAddress);
      far.destroy();
      await second.close();
      await first.close();
    }),

    contract("an address that this machine hasn't is refused with a code", async (subject) => {
      // 198.51.100.0/24 is for documentation (RFC 5737).
      const code = await rejection(subject.factory.listen({ address: "198.51.100.1", port: 0 }), "listening there");
      assert.ok(code === "LISTEN_FAILED" || code === "LISTEN_FORBIDDEN", `code ${code}`);
      const bad = await rejection(subject.factory.listen({ address: "not an address", port: 0 }), "listening nowhere");
      assert.equal(typeof bad, "string");
    }),

    contract("close of a listener may be called again, and frees the port", async (subject) => {
      const listener = await subject.factory.listen({ address: subject.address, port: 0 });
      await inTime(Promise.all([listener.close(), listener.close()]), "close");
      await listener.close();
      assert.equal(listener.server.listening, false);
      await rejection((subject.connect ?? connectHere)(subject.address, listener.port), "connecting to a closed listener");
      await (await subject.factory.listen({ address: subject.address, port: listener.port })).close();
    }),

    contract("close of the factory closes its listeners; then it makes no more", async (subject) => {
      const listeners = await Promise.all([1, 2, 3].map(() => subject.factory.listen({ address: subject.address, port: 0 })));
      await inTime(Promise.all([subject.factory.close(), subject.factory.close()]), "close");
      for (const { server } of listeners) assert.equal(server.listening, false);
      const code = await rejection(subject.factory.listen({ address: subject.address, port: 0 }), "listening after close");
      assert.equal(typeof code, "string");
    }),

    datagrams("UDP: a free port, datagrams both ways, and TCP on the same number undisturbed", async (subject, bind) => {
      let bound = await bind(0);
      assert.ok(bound.port >= 1 && bound.port <= 65_535, `port ${bound.port}`);
      const listenBeside = () => subject.factory.listen({ address: subject.address, port: bound.port });
      let beside = await listenBeside().catch(inUse);
      // What is free for datagrams somebody else's TCP may have.
      for (let tries = 0; !beside && tries < 5; tries++) {
        await bound.close();
        bound = await bind(0);
        beside = await listenBeside().catch(inUse);
      }
      assert.ok(beside, `no port is free for both; the last was ${bound.port}`);
      bound.socket.on("message", (datagram, from) => bound.socket.send(`re:${datagram}`, from.port, from.address));
      const client = await (subject.datagrams ?? datagramsHere)(subject.address);
      try {
        client.send("hello", bound.port, subject.address);
        const [answer] = (await inTime(once(client, "message"), "an answer")) as [Buffer];
        assert.equal(String(answer), "re:hello");
        (await join(subject, beside)).destroy();
      } finally {
        client.close();
      }
      await bound.close();
      await beside.close();
    }),

    datagrams("UDP: a port that is taken is LISTEN_IN_USE; close may be called again, and frees it", async (_subject, bind) => {
      const first = await bind(0);
      assert.equal(await rejection(bind(first.port), "the second socket"), "LISTEN_IN_USE");
      await inTime(Promise.all([first.close(), first.close()]), "close");
      await (await bind(first.port)).close();
    }),

    datagrams("UDP: close of the factory closes its sockets; then it makes no more", async (subject, bind) => {
      const { port } = await bind(0);
      const { socket } = await bind(0);
      const ended = once(socket, "close");
      await inTime(subject.factory.close(), "close");
      await inTime(ended, "the socket's end");
      assert.equal(typeof (await rejection(bind(port), "binding after close")), "string");
    }),
  ];
}

async function datagramsHere(address: string): Promise<DatagramSocket> {
  return createSocket(isIPv6(address) ? "udp6" : "udp4").on("error", () => {});
}

function inUse(error: { code?: unknown }): undefined {
  if (error.code !== "LISTEN_IN_USE") throw error;
}

async function connectHere(host: string, port: number): Promise<Socket> {
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}
