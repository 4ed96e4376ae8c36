import { once } from "node:events";
import { createServer, isIP } from "node:net";
import type { Listener, ListenerFactory } from "@shipside/core";
import { describe, expect, it, test } from "vitest";
import { listenerFactoryContract } from "./listener-factory.ts";

const coded = (code: string, cause?: unknown): Error => Object.assign(new Error(code, { cause }), { code });

/** The simplest factory that keeps the contract: listeners of this process. */
function plainFactory(server = { allowHalfOpen: true, pauseOnConnect: true }): ListenerFactory {
  const open = new Set<Listener>();
  let closed = false;
  const factory: ListenerFactory = {
    name: "plain",
    async listen({ address, port }) {
      if (closed || isIP(address) === 0) throw coded("LISTEN_FAILED");
      const made = createServer(server);
      made.on("error", () => {});
      try {
        await once(made.listen(port, address), "listening");
      } catch (cause) {
        throw coded((cause as { code?: string }).code === "EADDRINUSE" ? "LISTEN_IN_USE" : "LISTEN_FAILED", cause);
      }
      const listener: Listener = {
        address,
        port: (made.address() as { port: number }).port,
        server: made,
        async close() {
          open.delete(listener);
          if (made.listening) made.close();
        },
        [Symbol.asyncDispose]: () => listener.close(),
      };
      open.add(listener);
      return listener;
    },
    async close() {
      closed = true;
      for (const listener of open) await listener.close();
    },
    [Symbol.asyncDispose]: () => factory.close(),
  };
  return factory;
}

const subject = (factory: ListenerFactory) => ({
  factory,
  address: "127.0.0.1",
  otherAddress: "127.0.0.2",
  [Symbol.asyncDispose]: () => factory.close(),
});

describe("listeners of this process keep the contract", () => {
  for (const { name, run } of listenerFactoryContract({ open: async () => subject(plainFactory()) })) it(name, run);
});

test("listeners that don't pause, or close both halves, are found out", async () => {
  const failed: string[] = [];
  const cases = listenerFactoryContract({
    name: "x",
    open: async () => subject(plainFactory({ allowHalfOpen: false, pauseOnConnect: false })),
  });
  for (const { name, run } of cases) await run().catch(() => failed.push(name.slice(3)));
  expect(failed).toEqual([
    "connections wait, paused, for whoever takes them: no byte is lost",
    "half-open is allowed: an answer after the client's FIN arrives",
  ]);
});
