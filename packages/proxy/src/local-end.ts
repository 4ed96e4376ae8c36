import type { Duplex } from "node:stream";
import {
  type ArrivedConnection,
  type Closable,
  codeOf,
  type Interceptor,
  type Logger,
  lookOn,
  safeTap,
  silentLogger,
  splice,
  type Tap,
} from "@shipside/core";
import { HEADERS, type IncomingConnection } from "@shipside/relay";
import type { IncomingOptions } from "./incoming-options.ts";
import { connectLocalPort, joinUdpPort } from "./local-port.ts";

/** Where the traffic of one of the Service's ports goes on this machine. */
export interface LocalPort {
  /** The Service's. */
  port: number;
  localPort: number;
  protocol: "TCP" | "UDP";
}

export interface LocalEndOptions {
  namespace: string;
  service: string;
  ports: readonly LocalPort[];
  /** The first is the outermost. */
  interceptors?: readonly Interceptor[];
  tap?: Tap;
  datagramSocket?: IncomingOptions["datagramSocket"];
  /** Which traffic it is, for who looks on. */
  route?: string;
  logger?: Logger;
  /** Nothing listened on a local port; once until something does. */
  onRefused?(port: LocalPort, error: Error): void;
}

export interface LocalPortStats extends LocalPort {
  /** Open now. */
  open: number;
  /** Since the beginning; requests of HTTP that the relay has told apart are a connection each. */
  connections: number;
  /** Refused by the local port, and given back to the cluster. */
  refused: number;
  /** To the local process, and from it, since the beginning. */
  bytesIn: number;
  bytesOut: number;
  /** Why the last one failed, where it did. */
  lastError?: string;
}

/** Takes what the relay brings to the local ports. */
export interface LocalEnd extends Closable {
  /** As `onConnection` of a link. */
  take(connection: IncomingConnection): void;
  stats(): LocalPortStats[];
  /** Resets every open connection. */
  close(): Promise<void>;
}

/** Listens nowhere: {@link LocalEnd.take} is given what comes. A port that isn't in `ports` is refused. */
export function createLocalEnd(options: LocalEndOptions): LocalEnd {
  const { namespace, service, interceptors = [], tap, route, logger = silentLogger } = options;
  const ports = options.ports.map(
    (port): LocalPortStats => ({ ...port, open: 0, connections: 0, refused: 0, bytesIn: 0, bytesOut: 0 }),
  );
  const lifetime = new AbortController();
  const running = new Set<Promise<void>>();
  const quiet = new Set<LocalPortStats>();

  const find = (headers: IncomingConnection["headers"]): LocalPortStats | undefined => {
    const protocol = headers[HEADERS.protocol] === "udp" ? "UDP" : "TCP";
    return ports.find((port) => port.port === Number(headers[HEADERS.port]) && port.protocol === protocol);
  };

  const open = (connection: ArrivedConnection, signal: AbortSignal): Promise<Duplex> => {
    const through = (at: number): Promise<Duplex> =>
      at === interceptors.length
        ? connectLocalPort(connection.localPort, { signal })
        : interceptors[at]!.connect({ ...connection }, () => through(at + 1), { signal });
    return through(0);
  };

  const failed = (stats: LocalPortStats, error: unknown): void => {
    stats.lastError = error instanceof Error ? error.message : String(error);
    if (codeOf(error) !== "DIAL_REFUSED") return;
    stats.refused++;
    if (quiet.has(stats)) return;
    quiet.add(stats);
    options.onRefused?.(stats, error as Error);
  };

  const carry = async (incoming: IncomingConnection, stats: LocalPortStats): Promise<void> => {
    const { port, localPort, protocol } = stats;
    const connection: ArrivedConnection = {
      namespace,
      service,
      port,
      protocol,
      peer: incoming.headers[HEADERS.peer] ?? "",
      localPort,
      ...(route !== undefined && { route }),
    };
    const signal = AbortSignal.any([incoming.signal, lifetime.signal]);
    const count = (direction: "in" | "out", bytes: number): void => {
      stats[direction === "in" ? "bytesIn" : "bytesOut"] += bytes;
    };
    if (protocol === "UDP") {
      const stream = incoming.accept();
      const onAbort = (): void => void stream.destroy();
      lifetime.signal.addEventListener("abort", onAbort, { once: true });
      try {
        await joinUdpPort(stream, localPort, count, await options.datagramSocket?.());
      } catch (error) {
        stream.destroy();
        failed(stats, error);
      }
      lifetime.signal.removeEventListener("abort", onAbort);
      return;
    }
    let local: Duplex;
    try {
      local = await open(connection, signal);
    } catch (error) {
      if (!incoming.signal.aborted) failed(stats, error);
      return incoming.refuse(error);
    }
    local.on("error", () => {});
    if (signal.aborted) {
      local.destroy();
      return incoming.refuse(signal.reason);
    }
    quiet.delete(stats);
    const remote = incoming.accept();
    // From here on the stream itself says when it is over: its signal fires also at an end in good order.
    const done = splice(remote, local, { signal: lifetime.signal });
    remote.on("data", (chunk: Uint8Array) => count("in", chunk.length));
    local.on("data", (chunk: Uint8Array) => count("out", chunk.length));
    const tapped =
      tap &&
      safeTap(
        () => tap({ ...connection }),
        (error) => logger.warn("a tap failed and looks on no longer", { error: String(error) }),
      );
    if (tapped) lookOn(remote, local, tapped);
    const { error } = await done;
    if (error) stats.lastError = error.message;
  };

  let closed: Promise<void> | undefined;
  const close = (): Promise<void> =>
    (closed ??= (async () => {
      lifetime.abort(new Error("the local end was closed"));
      await Promise.all(running);
    })());
  return {
    take(incoming) {
      const stats = find(incoming.headers);
      if (!stats || lifetime.signal.aborted) {
        return incoming.refuse(
          new Error(stats ? "the local end is closed" : `no local port is for ${incoming.headers[HEADERS.port]}`),
        );
      }
      stats.open++;
      stats.connections++;
      const done = carry(incoming, stats)
        .catch((error: unknown) => {
          logger.error("carrying a connection from the cluster failed", { error: String(error) });
          incoming.refuse(error);
        })
        .finally(() => {
          stats.open--;
          running.delete(done);
        });
      running.add(done);
    },
    stats: () => ports.map((port) => ({ ...port })),
    close,
    [Symbol.asyncDispose]: close,
  };
}
