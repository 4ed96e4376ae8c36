import { Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, isIPv6, Server } from "node:net";
import {
  type Closable,
  codeOf,
  createCloser,
  createTurns,
  type DatagramListener,
  type Listener,
  type ListenerFactory,
  type ListenRequest,
} from "@shipside/core";
import type { CallAgent } from "./agent-client.ts";
import { rootlessError } from "./errors.ts";
import { type Claim, redirects } from "./redirects.ts";

/** Listeners in the network namespace, on any address: it is given to the namespace first. They are accepted from in this process. */
export interface NamespaceListeners extends Required<ListenerFactory> {
  /** Whether one of these is open there. An IPv6 address in its shortest form. */
  has(address: string, port: number): boolean;
}

export function namespaceListeners(call: CallAgent): NamespaceListeners {
  const closer = createCloser();
  const open = new Set<string>();
  const addresses = addressBatches(call);
  const redirected = redirects(call);
  // One at a time, so that the agent can hand over each socket at once: see there.
  const turns = createTurns();

  /** `where`: of TCP sockets, which are told apart from the command's own. */
  const opened = <L extends object>(where: string, listener: L, undo: () => unknown): L & Closable => {
    open.add(where);
    const close = closer.defer(async () => {
      open.delete(where);
      await undo();
    });
    return { ...listener, close, [Symbol.asyncDispose]: close };
  };

  const listen = async (wanted: ListenRequest): Promise<Listener> => {
    const { result, socket: received } = await call("listen", { address: wanted.address, port: wanted.port });
    if (!(received instanceof Server)) throw new Error("the agent sent no socket");
    // The one that Node made of it lacks our options; this one takes over its socket before anything is accepted.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.on("error", () => {});
    server.listen(received);
    await once(server, "listening");
    return opened(
      placeOf(wanted.address, result.port),
      { address: wanted.address, port: result.port, server },
      () => void server.close(),
    );
  };

  const bind = async (wanted: ListenRequest): Promise<DatagramListener> => {
    const { result, socket } = await call("bind", { address: wanted.address, port: wanted.port });
    if (!(socket instanceof DatagramSocket)) throw new Error("the agent sent no socket");
    // One datagram that can't be sent is lost, and no more.
    socket.on("error", () => {});
    const close = (): Promise<void> => new Promise((resolve) => socket.close(() => resolve()));
    return opened(`${placeOf(wanted.address, result.port)}/udp`, { address: wanted.address, port: result.port, socket }, close);
  };

  const make = async <L extends Closable>(
    wanted: ListenRequest,
    how: (wanted: ListenRequest) => Promise<L>,
    udp: string,
  ): Promise<L> => {
    const what = `could not listen on ${wanted.address}:${wanted.port}${udp} in the namespace`;
    const closed = (): Error => rootlessError("LISTEN_FAILED", `${what}: the listener factory was closed`);
    if (closer.closing) throw closed();
    const { address, port } = wanted;
    let claim: Claim | undefined;
    try {
      [claim] = await Promise.all([
        redirected.claim({ protocol: udp === "" ? "tcp" : "udp", address, port }),
        addresses.have(address),
      ]);
      const listener = await turns.run(() => how({ address, port: claim?.port ?? port }));
      if (!claim) {
        if (!closer.closing) return listener;
      } else if (!closer.closing) {
        const { lead, release } = claim;
        await lead();
        const close = async (): Promise<void> => {
          // With the namespaces goes all that leads there.
          if (!closer.closing) await release().catch(() => {});
          await listener.close();
        };
        return { ...listener, port, close, [Symbol.asyncDispose]: close };
      }
      await listener.close();
    } catch (cause) {
      await claim?.release().catch(() => {});
      throw listenError(what, cause);
    }
    throw closed();
  };

  return {
    name: "namespace",
    has: (address, port) => open.has(placeOf(address, port)),
    listen: (wanted) => make(wanted, listen, ""),
    listenDatagrams: (wanted) => make(wanted, bind, "/udp"),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

/** The URL parser knows the shortest form of an IPv6 address (RFC 5952). */
const placeOf = (address: string, port: number): string =>
  isIPv6(address) ? `${new URL(`http://[${address}]`).hostname} ${port}` : `${address} ${port}`;

/** Those asked for in one turn are given together: each takes a process. */
function addressBatches(call: CallAgent): { have(address: string): Promise<void> } {
  const there = new Set<string>();
  let wanted = new Set<string>();
  let batch: Promise<void> | undefined;
  const give = async (): Promise<void> => {
    const addresses = [...wanted];
    wanted = new Set();
    batch = undefined;
    await call("addresses", { addresses });
    for (const address of addresses) there.add(address);
  };
  return {
    async have(address) {
      if (there.has(address)) return;
      wanted.add(address);
      batch ??= new Promise<void>((resolve) => setImmediate(resolve)).then(give);
      await batch;
    },
  };
}

function listenError(what: string, cause: unknown): Error {
  switch (codeOf(cause)) {
    case "EADDRINUSE":
      return rootlessError("LISTEN_IN_USE", `${what}: another socket there has it`, {
        hint: "two services of one address and port can't both be served",
        cause,
      });
    case "EACCES":
    case "EPERM":
      return rootlessError("LISTEN_FORBIDDEN", `${what}: the kernel forbids it`, { hint: "choose a port above 1023", cause });
    default:
      return rootlessError("LISTEN_FAILED", `${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}
