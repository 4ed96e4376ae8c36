import { Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, Server } from "node:net";
import {
  type Closable,
  createCloser,
  type DatagramListener,
  hasCode,
  type Listener,
  type ListenerFactory,
  type ListenRequest,
} from "@shipside/core";
import { listenError, localListeners, tunnelError } from "@shipside/tunnel";
import type { CallHelper } from "./helper-client.ts";

/** Listening sockets that the helper makes and hands over. */
export function helperListeners(call: CallHelper): Required<ListenerFactory> {
  const closer = createCloser();
  /** One at a time, so that the helper can hand over each socket at once: see there. */
  let turn: Promise<unknown> = Promise.resolve();

  const listen = async (wanted: ListenRequest): Promise<Listener> => {
    const { result, socket: received } = await call("listen", { address: wanted.address, port: wanted.port }).catch(
      async (error: unknown) => Promise.reject(await refusedListen(wanted, "TCP", error)),
    );
    const { address, port } = result;
    if (!(received instanceof Server)) throw notSent(wanted);
    // The one that Node made of it lacks our options; this one takes over its socket before anything is accepted.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true });
    server.on("error", () => {});
    server.listen(received);
    await once(server, "listening");
    const stop = closer.defer(async () => {
      server.close();
      // Where the helper is gone, so is all that it kept for this address.
      await call("unlisten", { address, port }).catch(() => {});
    });
    return { address, port, server, close: stop, [Symbol.asyncDispose]: stop };
  };

  const bind = async (wanted: ListenRequest): Promise<DatagramListener> => {
    const { result, socket } = await call("bind", { address: wanted.address, port: wanted.port }).catch(async (error: unknown) =>
      Promise.reject(await refusedListen(wanted, "UDP", error)),
    );
    const { address, port } = result;
    if (!(socket instanceof DatagramSocket)) throw notSent(wanted);
    // One datagram that can't be sent is lost, and no more.
    socket.on("error", () => {});
    const stop = closer.defer(async () => {
      await new Promise<void>((resolve) => socket.close(() => resolve()));
      await call("unbind", { address, port }).catch(() => {});
    });
    return { address, port, socket, close: stop, [Symbol.asyncDispose]: stop };
  };

  const inTurn = <L extends Closable>(wanted: ListenRequest, make: (wanted: ListenRequest) => Promise<L>): Promise<L> => {
    const made = turn.then(async () => {
      if (closer.closing) throw closedError(wanted);
      const listener = await make(wanted);
      if (!closer.closing) return listener;
      await listener.close();
      throw closedError(wanted);
    });
    turn = made.catch(() => {});
    return made;
  };

  return {
    name: "helper",
    listen: (wanted) => inTurn(wanted, listen),
    listenDatagrams: (wanted) => inTurn(wanted, bind),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

const notSent = ({ address, port }: ListenRequest): Error =>
  tunnelError("LISTEN_FAILED", `could not listen on ${address}:${port}: the helper sent no socket`);
const closedError = ({ address, port }: ListenRequest): Error =>
  tunnelError("LISTEN_FAILED", `could not listen on ${address}:${port}: the listener factory was closed`);

async function refusedListen(wanted: ListenRequest, protocol: "TCP" | "UDP", cause: unknown): Promise<Error> {
  const what = `could not listen on ${wanted.address}:${wanted.port}${protocol === "UDP" ? "/udp" : ""}`;
  if (hasCode(cause, "HELPER_REFUSED")) {
    return tunnelError("LISTEN_FORBIDDEN", `${what}: the helper makes listeners on 127.0.0.0/8 only, without 127.0.0.1`, {
      hint: "choose a range within it (pool.cidr)",
      cause,
    });
  }
  if (hasCode(cause, "HELPER_GONE")) {
    const { message, hint } = cause as Error & { hint?: string };
    return tunnelError("LISTEN_FORBIDDEN", `${what}: ${message}`, { cause, ...(hint !== undefined && { hint }) });
  }
  return listenError(wanted, cause, protocol);
}

/** Makes by itself what this process may, and asks `helper` for the rest: as little as possible is done by root. */
export function listenersWithHelper(
  helper: Required<ListenerFactory>,
  local: Required<ListenerFactory> = localListeners(),
): Required<ListenerFactory> {
  const close = async (): Promise<void> => {
    await local.close();
    await helper.close();
  };
  const orHelper = async <L>(own: Promise<L>, ask: () => Promise<L>): Promise<L> => {
    try {
      return await own;
    } catch (error) {
      const missing = hasCode(error, "LISTEN_FAILED") && hasCode((error as Error).cause, "EADDRNOTAVAIL");
      if (missing || hasCode(error, "LISTEN_FORBIDDEN")) return ask();
      throw error;
    }
  };
  return {
    name: `${local.name}, then ${helper.name}`,
    listen: (wanted) => orHelper(local.listen(wanted), () => helper.listen(wanted)),
    listenDatagrams: (wanted) => orHelper(local.listenDatagrams(wanted), () => helper.listenDatagrams(wanted)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
