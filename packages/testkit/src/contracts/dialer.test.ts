import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import type { Dialer, DialRequest } from "@shipside/core";
import { describe, expect, it, test } from "vitest";
import { type DialerSubject, type DialTarget, dialerContract } from "./dialer.ts";

const target = (port: number): DialTarget => ({
  target: { namespace: "default", service: "s", port: 80, protocol: "TCP" },
  endpoint: { address: "127.0.0.1", port },
});
const coded = (code: string, cause?: unknown): Error => Object.assign(new Error(code, { cause }), { code });

/** The simplest dialer that keeps the contract: TCP. */
function tcpDialer(): Dialer {
  let closed = false;
  const dialer: Dialer = {
    name: "tcp",
    async dial({ endpoint, signal }: DialRequest) {
      if (closed) throw coded("DIAL_FAILED");
      signal.throwIfAborted();
      const socket = connect({ host: endpoint.address, port: endpoint.port, allowHalfOpen: true });
      try {
        await once(socket, "connect", { signal });
      } catch (cause) {
        socket.destroy();
        throw coded((cause as { code?: string }).code === "ECONNREFUSED" ? "DIAL_REFUSED" : "DIAL_FAILED", cause);
      }
      return socket;
    },
    async close() {
      closed = true;
    },
    [Symbol.asyncDispose]: () => dialer.close(),
  };
  return dialer;
}

async function open(dialer: Dialer): Promise<DialerSubject> {
  const servers: Server[] = [];
  const listen = async (far: Parameters<DialerSubject["serve"]>[0]): Promise<Server> => {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {});
      far(socket);
    }).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return server;
  };
  return {
    dialer,
    serve: async (far) => target(((await listen(far)).address() as AddressInfo).port),
    async refused() {
      const server = await listen(() => {});
      const { port } = server.address() as AddressInfo;
      await new Promise((resolve) => server.close(resolve));
      return target(port);
    },
    async [Symbol.asyncDispose]() {
      await dialer.close();
      for (const server of servers) server.close();
    },
  };
}

describe("plain TCP keeps the contract", () => {
  for (const { name, run } of dialerContract({ open: () => open(tcpDialer()) })) it(name, run);
});

/** Which cases a dialer fails that is tcpDialer but for `dial`. */
async function failures(change: (dial: Dialer["dial"]) => Dialer["dial"]): Promise<string[]> {
  const broken = (): Dialer => {
    const dialer = tcpDialer();
    return { ...dialer, dial: change(dialer.dial) };
  };
  const out: string[] = [];
  for (const { name, run } of dialerContract({ name: "x", open: () => open(broken()) }))
    await run().catch(() => out.push(name.slice(3)));
  return out;
}

test("a dialer that can't close half is found out", { timeout: 60_000 }, async () => {
  const failed = await failures((dial) => async (request) => {
    const stream = await dial(request);
    stream.allowHalfOpen = false;
    return stream;
  });
  expect(failed).toContain("carries bytes both ways, all of them, in order");
  expect(failed).toContain("after the far end's FIN we can still send");
});

test("a dialer that ignores backpressure and codes is found out", { timeout: 60_000 }, async () => {
  const failed = await failures((dial) => async (request) => {
    const stream = await dial(request).catch((error) => {
      throw new Error("oops", { cause: error });
    });
    const write = stream.write.bind(stream) as (chunk: Buffer) => boolean;
    stream.write = ((chunk: Buffer) => {
      write(chunk);
      return true;
    }) as typeof stream.write;
    return stream;
  });
  expect(failed).toEqual(["a far end that doesn't read stalls the writer, and no other stream", "nothing listens: DIAL_REFUSED"]);
});
