import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { Listener, ListenerFactory } from "@shipside/core";
import type { ContractCase } from "./contract.ts";

export interface ListenerFactorySubject extends AsyncDisposable {
  factory: ListenerFactory;
  /** Two addresses that the factory can listen on, and that this process can connect to. */
  addresses: readonly [string, string];
}

export interface ListenerFactoryContractOptions {
  /** Prefix of the cases' names. */
  name?: string;
  open(): Promise<ListenerFactorySubject>;
}

/** What every {@link ListenerFactory} must do, whoever makes its sockets. */
export function listenerFactoryContract(options: ListenerFactoryContractOptions): ContractCase[] {
  const contract = (
    name: string,
    run: (factory: ListenerFactory, addresses: readonly [string, string]) => Promise<void>,
  ): ContractCase => ({
    name: `${options.name ?? "listener factory"}: ${name}`,
    async run() {
      await using subject = await options.open();
      await run(subject.factory, subject.addresses);
    },
  });

  return [
    contract("listens where it says, on a free port where none is asked for", async (factory, [address]) => {
      await using listener = await factory.listen({ address, port: 0 });
      assert.equal(listener.address, address);
      assert.ok(listener.port > 0 && listener.port < 65_536);
      assert.ok(listener.server.listening);
      const { client, accepted } = await connected(listener);
      accepted.end("hello");
      assert.equal(await text(client), "hello");
    }),

    contract("listens on the port that is asked for", async (factory, [address]) => {
      const { port } = await freed(factory, address);
      await using listener = await factory.listen({ address, port });
      assert.equal(listener.port, port);
    }),

    contract("hands over connections paused: no byte is lost before somebody reads", async (factory, [address]) => {
      await using listener = await factory.listen({ address, port: 0 });
      const { client, accepted } = await connected(listener);
      client.end("early");
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(await text(accepted), "early");
      accepted.end();
    }),

    contract("hands over connections that stay half open: an answer after the client's end arrives", async (factory, [address]) => {
      await using listener = await factory.listen({ address, port: 0 });
      const { client, accepted } = await connected(listener);
      client.end("question");
      await text(accepted);
      await new Promise((resolve) => setTimeout(resolve, 20));
      accepted.end("answer");
      assert.equal(await text(client), "answer");
    }),

    contract("the same port on two addresses is two listeners", async (factory, [first, second]) => {
      await using one = await factory.listen({ address: first, port: 0 });
      await using two = await factory.listen({ address: second, port: one.port });
      for (const [listener, name] of [
        [one, "one"],
        [two, "two"],
      ] as const) {
        const { client, accepted } = await connected(listener);
        accepted.end(name);
        assert.equal(await text(client), name);
      }
    }),

    contract("a port that is taken is LISTEN_IN_USE, and who has it keeps it", async (factory, [address]) => {
      await using listener = await factory.listen({ address, port: 0 });
      await assert.rejects(factory.listen({ address, port: listener.port }), { code: "LISTEN_IN_USE" });
      const { client, accepted } = await connected(listener);
      accepted.end("mine");
      assert.equal(await text(client), "mine");
    }),

    contract("an address that nobody here can have is refused with a LISTEN code", async (factory) => {
      // RFC 5737: for documentation, so never a machine's own.
      await assert.rejects(factory.listen({ address: "192.0.2.1", port: 0 }), (error: { code?: string }) => {
        assert.match(String(error.code), /^LISTEN_(FAILED|FORBIDDEN)$/);
        return true;
      });
    }),

    contract("closing a listener stops accepting, frees the port, and leaves its connections", async (factory, [address]) => {
      const listener = await factory.listen({ address, port: 0 });
      const { client, accepted } = await connected(listener);
      await listener.close();
      await listener.close();
      await assert.rejects(dialled(address, listener.port), { code: "ECONNREFUSED" });
      accepted.end("still here");
      assert.equal(await text(client), "still here");
      await using again = await factory.listen({ address, port: listener.port });
      assert.equal(again.port, listener.port);
    }),

    contract("closing the factory closes its listeners; twice is once", async (factory, [address]) => {
      const listener = await factory.listen({ address, port: 0 });
      await factory.close();
      await factory.close();
      await assert.rejects(dialled(address, listener.port), { code: "ECONNREFUSED" });
    }),
  ];
}

/** A port that was free a moment ago. */
async function freed(factory: ListenerFactory, address: string): Promise<Listener> {
  const listener = await factory.listen({ address, port: 0 });
  await listener.close();
  return listener;
}

async function connected(listener: Listener): Promise<{ client: Socket; accepted: Socket }> {
  const connection = once(listener.server, "connection");
  const client = await dialled(listener.address, listener.port);
  const [accepted] = (await connection) as [Socket];
  accepted.on("error", () => {});
  return { client, accepted };
}

async function dialled(host: string, port: number): Promise<Socket> {
  const client = connect({ host, port, allowHalfOpen: true });
  client.on("error", () => {});
  await once(client, "connect");
  return client;
}
