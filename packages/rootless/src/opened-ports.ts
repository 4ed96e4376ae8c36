import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type Closable, codeOf, createCloser, type Logger, silentLogger, splice } from "@shipside/core";
import type { ListeningSocket } from "./agent/requests.ts";
import type { Namespace } from "./namespace.ts";

/** A port that a program inside listens on, on this machine's localhost. */
export interface OpenedPort {
  /** Inside. */
  port: number;
  /** Here: the same, or another where that is taken or below 1024. */
  hostPort: number;
}

export interface OpenedPortsOptions {
  namespace: Pick<Namespace, "listening" | "onListening" | "connect">;
  /** Told when it can be connected to here. */
  opened(port: OpenedPort): void;
  /** Told when nothing listens there any more. */
  closed?(port: OpenedPort): void;
  logger?: Logger;
}

interface Forward extends OpenedPort {
  server: Server;
}

/** Forwards ports of 127.0.0.1 here to what programs inside listen on, as that comes and goes. Connections go on when it goes. */
export function forwardOpenedPorts({ namespace, opened, closed, logger = silentLogger }: OpenedPortsOptions): Closable {
  const closer = createCloser();
  const forwards = new Map<number, Forward>();
  const open = new Set<Socket>();
  let last: Promise<unknown> = Promise.resolve();

  const serve = (socket: Socket, port: number): void => {
    socket.on("error", () => {});
    namespace.connect({ port }).then(
      (inner) => {
        inner.on("error", () => {});
        open.add(inner);
        inner.once("close", () => open.delete(inner));
        if (closer.closing) inner.destroy();
        void splice(socket, inner);
      },
      (error: unknown) => {
        logger.debug(`no connection to port ${port} inside`, { error: String(error) });
        socket.resetAndDestroy();
      },
    );
  };

  const forward = async (port: number): Promise<void> => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => serve(socket, port));
    server.on("error", () => {});
    for (const wanted of port < 1024 ? [0] : [port, 0]) {
      try {
        await once(server.listen({ host: "127.0.0.1", port: wanted, exclusive: true }), "listening");
        break;
      } catch (error) {
        if (codeOf(error) !== "EADDRINUSE" || wanted === 0) throw error;
      }
    }
    const { port: hostPort } = server.address() as AddressInfo;
    forwards.set(port, { port, hostPort, server });
    opened({ port, hostPort });
  };

  const follow = async (sockets: readonly ListeningSocket[]): Promise<void> => {
    if (closer.closing) return;
    const wanted = new Set(sockets.map(({ port }) => port));
    for (const { port, hostPort, server } of [...forwards.values()].filter((each) => !wanted.has(each.port))) {
      server.close();
      forwards.delete(port);
      closed?.({ port, hostPort });
    }
    for (const port of wanted) {
      if (forwards.has(port)) continue;
      await forward(port).catch((error: unknown) => logger.warn(`port ${port} is not forwarded`, { error: String(error) }));
    }
  };
  const queue = (sockets: readonly ListeningSocket[]): void => {
    last = last.then(() => follow(sockets));
  };
  closer.defer(async () => {
    await last;
    for (const { server } of forwards.values()) server.close();
    for (const inner of open) inner.destroy();
  });
  closer.defer(namespace.onListening(queue));
  queue(namespace.listening);
  return { close: () => closer.close(), [Symbol.asyncDispose]: () => closer.close() };
}
