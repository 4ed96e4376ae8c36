import { abortError, hasCode, type Logger, type PodRef } from "@shipside/core";
import { chooseConnection } from "./choice.ts";
import { type Connection, createConnection } from "./connection.ts";
import { portForwardError } from "./errors.ts";
import type { ForwardTarget } from "./failure.ts";
import { hedged } from "./hedge.ts";
import type { PoolLimits } from "./limits.ts";
import type { Relief } from "./relief.ts";
import type { Connected, Selector } from "./selection.ts";
import { settle } from "./settle.ts";
import { createRawCarrier, createWebSocketCarrier } from "./spdy-carriers.ts";
import type { ForwardStream } from "./stream.ts";
import { type ChannelStream, openChannel } from "./v4-channel.ts";

export interface PodConnectionsOptions {
  pod: PodRef;
  limits: PoolLimits;
  logger: Logger;
  selector: Selector;
  relief: Relief;
  /** Ends what is under way. */
  signal: AbortSignal;
  podEnded: PodEnded;
}

/** Whether a pod has ended for good: it doesn't exist any more, or none of its containers will run again. */
export type PodEnded = (pod: PodRef, signal: AbortSignal) => Promise<boolean>;

/** The connections to one pod. */
export interface PodConnections {
  /** Nothing is open or under way, so that this may be forgotten. */
  readonly idle: boolean;
  /** Rejects as the pool's `open` does. */
  open(target: ForwardTarget, signal: AbortSignal | undefined): Promise<ForwardStream>;
  /** Called once a second: pings, drops what is dead, closes what is idle. */
  tick(): void;
  revalidate(): Promise<void>;
  stats(): { pod: PodRef; connections: number; streams: number; stuck: number; bytes: number };
  close(): Promise<void>;
}

/** How soon another upgrade is tried while one hangs, and how many may hang. */
const HEDGE_MS = 1_500;
const HEDGES = 3;
/** An upgraded connection over which nothing has ever come is given up sooner: something on the way may only pretend. */
const UNPROVEN_ACCEPT_MS = 4_000;

export function createPodConnections(options: PodConnectionsOptions): PodConnections {
  const { pod, limits, logger, selector } = options;
  const connections: Connection[] = [];
  /** Streams that have a WebSocket of their own. */
  const channels = new Set<ChannelStream>();
  /** Ports that have taken connections. */
  const proven = new Set<number>();
  let underWay: Promise<Connection | undefined> | undefined;
  let opening = 0;

  const add = ({ kind, upgraded }: Connected): Connection => {
    const connection: Connection = createConnection({
      carrier: kind === "websocket" ? createWebSocketCarrier(upgraded) : createRawCarrier(upgraded),
      label: `pod ${pod.namespace}/${pod.name}`,
      limits,
      moved: options.relief,
      podEnded: () => options.podEnded(pod, options.signal),
      closed(cause) {
        connections.splice(connections.indexOf(connection), 1);
        if (cause) logger.debug("a port-forward connection was lost", { ...pod, cause: cause.message });
      },
    });
    connections.push(connection);
    return connection;
  };

  const upgrade = (target: ForwardTarget, signal: AbortSignal | undefined): Promise<Connected> => {
    const signals = [options.signal, AbortSignal.timeout(limits.connectMs), ...(signal ? [signal] : [])];
    return hedged((attempt) => selector.connect(target, attempt), {
      everyMs: HEDGE_MS,
      atMost: HEDGES,
      signal: AbortSignal.any(signals),
      discard: ({ upgraded }) => void upgraded.socket.destroy(),
    }).catch((error) => {
      if ((error as Error)?.name !== "TimeoutError") throw error;
      throw portForwardError("DIAL_FAILED", `no port-forward connection to ${target.label} within ${limits.connectMs} ms`, {
        cause: error,
      });
    });
  };

  /**
   * One upgrade at a time; whoever needs a connection meanwhile waits for the same one. A failure is told to them and forgotten.
   * Resolves with undefined where this cluster has only connections of one stream.
   */
  const connectFresh = (target: ForwardTarget): Promise<Connection | undefined> => {
    underWay ??= upgrade(target, undefined)
      .then((connected) => {
        if (connected.kind !== "channel") return add(connected);
        connected.upgraded.socket.destroy();
        return undefined;
      })
      .finally(() => {
        underWay = undefined;
      });
    return underWay;
  };

  const acquire = async (target: ForwardTarget, fresh: boolean): Promise<Connection | undefined> => {
    for (let joined = false; ; ) {
      const { use, prepare } = fresh
        ? { use: undefined, prepare: true }
        : chooseConnection(
            connections.map(({ facts }) => facts),
            underWay ? 1 : 0,
            limits,
          );
      if (use !== undefined) {
        if (prepare)
          connectFresh(target).catch((error) => logger.debug("no spare port-forward connection", { cause: String(error) }));
        return connections[use] as Connection;
      }
      const joins = underWay !== undefined;
      try {
        const connection = await connectFresh(target);
        // Many may have waited for this one; those whom it can't take look again.
        if (!connection || (!connection.session.isClosed && connection.session.streams < limits.streamsPerConnection))
          return connection;
      } catch (error) {
        // What failed may have been asked for long before this stream was; it gets one try of its own.
        if (joined || !joins || hasCode(error, "PORTFORWARD_CLOSED", "DIAL_GONE")) throw error;
        joined = true;
      }
    }
  };

  const isDialFailure = (error: unknown): boolean => hasCode(error, "DIAL_REFUSED", "DIAL_GONE", "DIAL_FAILED");

  /** A stream that fails says something of its port, and the next one there is waited for again. */
  const watchFailure = (connection: Connection, stream: ForwardStream, port: number): void =>
    stream.onDialState(() => {
      if (isDialFailure(stream.failure)) judge(connection, port, stream.failure);
      else if (stream.failure) proven.delete(port);
    });

  /** A dial failed: what is to be thought of the port and of the connection. */
  const judge = ({ session }: Connection, port: number, error: unknown): void => {
    proven.delete(port);
    if (hasCode(error, "DIAL_REFUSED")) return;
    // Whatever this connection leads to is no longer the pod, or doesn't answer.
    session.retire();
    if (session.streams === 0) session.close();
  };

  const openOn = async (connection: Connection, target: ForwardTarget, signal: AbortSignal | undefined): Promise<ForwardStream> => {
    const { session } = connection;
    const trusted = proven.has(target.port) && connection.trusted;
    connection.used = true;
    const stream = session.open(target);
    if (trusted) {
      watchFailure(connection, stream, target.port);
      return stream;
    }
    try {
      const acceptMs = selector.unproven ? Math.min(limits.connectMs, UNPROVEN_ACCEPT_MS) : limits.connectMs;
      await settle(stream, target, { acceptMs, settleMs: limits.settleMs, signal });
      proven.add(target.port);
      selector.proved(session.kind);
      watchFailure(connection, stream, target.port);
      return stream;
    } catch (error) {
      if (isDialFailure(error)) {
        judge(connection, target.port, error);
        if (hasCode(error, "DIAL_FAILED")) selector.doubt(session.kind);
      }
      throw error;
    }
  };

  const openAlone = async (target: ForwardTarget, signal: AbortSignal | undefined): Promise<ForwardStream> => {
    const connected = await upgrade(target, signal);
    if (connected.kind !== "channel") {
      const connection = add(connected);
      return openOn(connection, target, signal);
    }
    const channel = openChannel(connected.upgraded, target, limits, () => channels.delete(channel));
    channels.add(channel);
    await settle(channel.stream, target, { acceptMs: limits.connectMs, settleMs: limits.settleMs, signal });
    return channel.stream;
  };

  const self: PodConnections = {
    get idle() {
      return connections.length === 0 && channels.size === 0 && underWay === undefined && opening === 0;
    },
    async open(target, signal) {
      opening++;
      try {
        for (let again = false; ; again = true) {
          const connection = selector.chosen === "channel" ? undefined : await abortable(acquire(target, again), signal);
          if (!connection) return await openAlone(target, signal);
          // An old connection may lead to what the pod was before it was replaced, or may have died unseen; a new one may be of a
          // carrier that lets nothing through.
          const mayBeStale = connection.used || selector.unproven;
          try {
            return await openOn(connection, target, signal);
          } catch (error) {
            if (again || !mayBeStale || signal?.aborted || !hasCode(error, "DIAL_GONE", "DIAL_FAILED")) throw error;
          }
        }
      } finally {
        opening--;
      }
    },
    tick() {
      // One that is idle stays ready for as long as others are in use.
      let spare = connections.some(({ session }) => session.streams > 0);
      for (const connection of [...connections]) if (connection.tick(spare)) spare = false;
    },
    async revalidate() {
      await Promise.all(connections.map((connection) => connection.revalidate(options.signal)));
    },
    stats() {
      const live = connections.filter(({ session }) => !session.isClosed);
      return {
        pod,
        connections: live.length + channels.size,
        streams: live.reduce((sum, { session }) => sum + session.streams, channels.size),
        stuck: live.filter(({ facts }) => facts.stuck).length,
        bytes: live.reduce((sum, { session }) => sum + session.bytes, 0),
      };
    },
    async close() {
      await underWay?.catch(() => {});
      const all = [...connections];
      const alone = [...channels];
      for (const { session } of all) session.close();
      for (const { stream } of alone) stream.lost(portForwardError("PORTFORWARD_CLOSED", "the port-forward connection was closed"));
      await Promise.all([...all, ...alone].map(({ gone }) => gone));
    },
  };
  return self;
}

/** Stops waiting when told to; what was waited for goes on, for others wait for it too. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const aborted = (): void => reject(abortError(signal));
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}
