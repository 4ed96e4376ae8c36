import { createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, createCloser, type Logger } from "@shipside/core";
import { relayError } from "../errors.ts";
import type { AcceptPort, RelayConfig } from "../protocol.ts";
import type { Developers } from "./developers.ts";
import { HEAD_MS } from "./http1.ts";
import { LINGER_MS } from "./http1-upstreams.ts";
import type { Leases } from "./lease.ts";
import { createNames } from "./names.ts";
import { serveHttp } from "./sniff.ts";
import { serveConnection } from "./tcp.ts";
import { createTlsEnd, type TlsEnd } from "./tls-end.ts";
import { serveDatagrams } from "./udp.ts";
import type { PortContext } from "./upstream.ts";

export interface AcceptOptions {
  config: Pick<RelayConfig, "accept" | "tls">;
  leases: Leases;
  developers: Developers;
  logger: Logger;
  /** Address to listen on. Default: every one. */
  host?: string;
  /** How long a request's head may take, in ms. Default `HEAD_MS`. */
  headMs?: number;
}

export interface Accept extends Closable {
  /** Open connections of the cluster's. */
  readonly connections: number;
  /** Where it listens, by the Service's ports (with `listen: 0`, which one it got). */
  readonly listening: ReadonlyMap<number, number>;
  /** Whether TLS of these ports can end here, where it is to: rejects with `RELAY_TLS_SECRET` or `RELAY_TLS_PODS`. */
  checkTls(ports: readonly number[]): Promise<void>;
  /**
   * Lets everything come to its end: from now on answers say `Connection: close`, HTTP/2 sessions GOAWAY. New connections are still taken,
   * for the cluster takes a while to send them elsewhere. Resolves when `settleMs` have passed since it was first called and nothing is
   * open but connections that wait for a request, and at the latest after `boundMs`.
   */
  drain(options: { settleMs: number; boundMs: number }): Promise<void>;
  /**
   * The last of it. Who ends a connection that waits for a request loses a request that is sent in that very moment, so that each has
   * another `patienceMs` to be used once more or to be ended by its client. Then all is cut. Resolves when it is over.
   */
  leave(options: { patienceMs: number }): Promise<void>;
}

/** How often it is looked whether all have gone, in ms. */
const LOOK_MS = 50;

/** Takes the cluster's traffic on every port of the configuration. Rejects with what listening failed with; then it listens nowhere. */
export async function startAccept(options: AcceptOptions): Promise<Accept> {
  const { config, leases, developers, logger, host, headMs = HEAD_MS } = options;
  const closer = createCloser();
  const draining = new AbortController();
  const leaving = new AbortController();
  const lifetime = new AbortController();
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const listening = new Map<number, number>();
  /** Ends of connections that wait for a request. */
  const idle = new Set<() => void>();
  let drainingSince: number | undefined;

  const names = createNames();
  const tlsEnds = new Map<number, TlsEnd>();

  const take = (socket: Socket, context: PortContext, tls: TlsEnd | undefined): void => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("close", () => sockets.delete(socket));
    const peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
    const served =
      context.port.mode === "http" ? serveHttp(socket, context, peer, tls) : serveConnection(socket, context, { peer });
    served.catch((error: Error) => {
      logger.error("a connection could not be served", { error: error.message });
      socket.destroy();
    });
  };

  try {
    for (const port of config.accept) {
      const signals = { draining: draining.signal, leaving: leaving.signal };
      const context: PortContext = { port, leases, developers, logger, names, ...signals, idle, headMs };
      if (port.protocol === "UDP") {
        const datagrams = closer.use(await serveDatagrams(context, { host }));
        listening.set(port.port, datagrams.port);
        continue;
      }
      const tls = config.tls && port.tls && createTlsEnd({ context, tls: config.tls, serve: serveHttp });
      if (tls) tlsEnds.set(port.port, tls);
      const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: false }, (socket) =>
        take(socket, context, tls),
      );
      listening.set(port.port, await listen(server, port, host));
      server.on("error", (error) => logger.error("a port of the relay's", { port: port.port, error: error.message }));
      servers.push(server);
      closer.defer(() => new Promise<void>((resolve) => void server.close(() => resolve())));
    }
  } catch (error) {
    await closer.close();
    throw error;
  }
  closer.defer(() => {
    draining.abort();
    leaving.abort();
    lifetime.abort();
    for (const socket of sockets) socket.destroy();
  });
  const until = async (holds: () => boolean, ms: number): Promise<void> => {
    for (const limit = performance.now() + ms; !holds() && !lifetime.signal.aborted && performance.now() < limit; )
      await sleep(LOOK_MS);
  };

  return {
    get connections() {
      return sockets.size;
    },
    listening,
    async checkTls(ports) {
      await Promise.all(ports.map((port) => tlsEnds.get(port)?.check()));
    },
    async drain({ settleMs, boundMs }) {
      draining.abort();
      const settled = (drainingSince ??= performance.now()) + settleMs;
      await until(() => performance.now() >= settled && sockets.size <= idle.size, boundMs);
    },
    async leave({ patienceMs }) {
      draining.abort();
      leaving.abort();
      const empty = (): boolean => sockets.size === 0;
      await until(empty, patienceMs);
      for (const server of servers) server.close();
      for (const end of idle) end();
      await until(empty, LINGER_MS);
      await closer.close();
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}

function listen(server: Server, { listen: port, port: service }: AcceptPort, host: string | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const refused = (cause: Error): void =>
      reject(relayError("RELAY_OPTIONS", `the relay can't listen on ${port} for the Service's port ${service}`, { cause }));
    server.once("error", refused);
    server.listen({ port, ...(host !== undefined && { host }) }, () => {
      server.off("error", refused);
      resolve((server.address() as { port: number }).port);
    });
  });
}
