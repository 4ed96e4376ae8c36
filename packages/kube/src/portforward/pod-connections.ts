import { abortError, hasCode, type Logger, type PodRef } from "@shipside/core";
import { type Choice, chooseConnection } from "./choice.ts";
import { portForwardError } from "./errors.ts";
import type { ForwardTarget } from "./failure.ts";
import { hedged } from "./hedge.ts";
import type { PoolLimits } from "./limits.ts";
import type { Relief } from "./relief.ts";
import type { Connected, Selector } from "./selection.ts";
import { settle } from "./settle.ts";
import { createRawCarrier, createWebSocketCarrier } from "./spdy-carriers.ts";
import { createSpdySession, SERVER_WORKERS, type SpdySession } from "./spdy-session.ts";
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
}

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

interface Connection {
  session: SpdySession;
  /** Since when no stream is open. */
  idleSince: number;
  pingedAt: number;
  /** For the rate: where the current second began, and what had moved then. */
  secondAt: number;
  secondBytes: number;
  rate: number;
  used: boolean;
  gone: Promise<void>;
}

/** How soon another upgrade is tried while one hangs, and how many may hang. */
const HEDGE_MS = 1_500;
const HEDGES = 3;
/** An upgraded connection over which nothing has ever come is given up sooner: something on the way may only pretend. */
const UNPROVEN_ACCEPT_MS = 4_000;
/** A ping unanswered for this long makes a connection one to avoid. */
const SLOW_PING_MS = 1_500;
/** A ping unanswered for this long, while other things arrive: a part of the connection is blocked for good. */
const WEDGED_MS = 30_000;
const REVALIDATE_MS = 1_500;
/** A connection not heard from for longer is not trusted with a stream that isn't waited for. */
const TRUSTED_MS = 15_000;
/** A backlog of which nothing was taken for this long means that the server isn't reading. */
const SLOW_WRITE_MS = 200;

export function createPodConnections(options: PodConnectionsOptions): PodConnections {
  const { pod, limits, logger, selector } = options;
  const connections: Connection[] = [];
  /** Streams that have a WebSocket of their own. */
  const channels = new Set<ChannelStream>();
  /** Ports that have taken connections. */
  const proven = new Set<number>();
  let underWay: Promise<Connection | undefined> | undefined;
  let opening = 0;

  const pings = (session: SpdySession): number => (session.streams > 0 ? SERVER_WORKERS : 1);

  const olderThan = (since: number | undefined, ms: number): boolean => since !== undefined && performance.now() - since > ms;

  const stuck = ({ session }: Connection): boolean =>
    session.stalled ||
    session.suspect ||
    olderThan(session.backlogSince, SLOW_WRITE_MS) ||
    olderThan(session.pingSince, SLOW_PING_MS);

  const rateOf = (connection: Connection): number => {
    const now = performance.now();
    const elapsed = now - connection.secondAt;
    const moved = connection.session.bytes - connection.secondBytes;
    if (elapsed >= 1_000) {
      connection.rate = (moved * 1_000) / elapsed;
      connection.secondAt = now;
      connection.secondBytes = connection.session.bytes;
    } else if (moved > connection.rate) connection.rate = moved;
    return connection.rate;
  };

  const add = ({ kind, upgraded }: Connected): Connection => {
    const { promise: gone, resolve } = Promise.withResolvers<void>();
    const factory = kind === "websocket" ? createWebSocketCarrier(upgraded) : createRawCarrier(upgraded);
    const now = performance.now();
    const connection: Connection = {
      session: createSpdySession(factory, {
        endings: limits,
        maxBufferedPerStream: limits.maxBufferedPerStream,
        moved: options.relief,
        closed(cause) {
          const at = connections.indexOf(connection);
          if (at >= 0) connections.splice(at, 1);
          if (cause)
            logger.debug("a port-forward connection was lost", { pod: pod.name, namespace: pod.namespace, cause: cause.message });
          resolve();
        },
        released() {
          if (connection.session.streams > 0) return;
          connection.idleSince = performance.now();
          if (connection.session.retired) connection.session.close();
        },
      }),
      idleSince: now,
      pingedAt: now,
      secondAt: now,
      secondBytes: 0,
      rate: 0,
      used: false,
      gone,
    };
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

  const choose = (): Choice =>
    chooseConnection(
      connections.map((connection) => ({
        streams: connection.session.streams,
        retired: connection.session.retired || connection.session.isClosed,
        stuck: stuck(connection),
        busy: connection.session.streams > 0 && rateOf(connection) > limits.busyBytesPerSecond,
      })),
      underWay ? 1 : 0,
      limits,
    );

  const acquire = async (target: ForwardTarget, fresh: boolean): Promise<Connection | undefined> => {
    for (let joined = false; ; ) {
      const { use, prepare } = fresh ? { use: undefined, prepare: true } : choose();
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
    const trusted = proven.has(target.port) && performance.now() - session.heardAt < TRUSTED_MS && !stuck(connection);
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
      const now = performance.now();
      let spare = connections.some(({ session }) => session.streams > 0) ? 1 : 0;
      for (const connection of [...connections]) {
        const { session } = connection;
        rateOf(connection);
        if (session.isClosed) continue;
        const unanswered = session.pingSince === undefined ? 0 : now - session.pingSince;
        if (!session.stalled && unanswered > limits.deadMs && now - session.heardAt > limits.deadMs) {
          session.destroy(
            portForwardError(
              "PORTFORWARD_LOST",
              `nothing was heard on a connection to pod ${pod.namespace}/${pod.name} for ${Math.round(unanswered)} ms`,
            ),
          );
          continue;
        }
        if (!session.stalled && unanswered > WEDGED_MS) session.retire();
        if (session.streams === 0) {
          // What blocks it belongs to a stream that is gone: only an end frees the pod of it.
          if (session.retired || unanswered > SLOW_PING_MS) session.close();
          else if (now - connection.idleSince >= limits.idleMs && spare-- <= 0) session.close();
        }
        if (!session.isClosed && session.pingSince === undefined && now - connection.pingedAt >= limits.pingMs) {
          connection.pingedAt = now;
          session.ping(pings(session));
        }
      }
    },
    async revalidate() {
      const asked = connections.filter(({ session }) => !session.isClosed && !session.stalled);
      const since = performance.now();
      for (const { session } of asked) session.ping(1);
      const deadline = since + REVALIDATE_MS;
      const waits = (): Connection[] =>
        asked.filter(({ session }) => !session.isClosed && !session.stalled && session.heardAt < since);
      while (waits().length > 0 && performance.now() < deadline && !options.signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      for (const { session } of waits()) {
        session.destroy(
          portForwardError(
            "PORTFORWARD_LOST",
            `a connection to pod ${pod.namespace}/${pod.name} gave no sign of life within ${REVALIDATE_MS} ms`,
          ),
        );
      }
    },
    stats() {
      const live = connections.filter(({ session }) => !session.isClosed);
      return {
        pod,
        connections: live.length + channels.size,
        streams: live.reduce((sum, { session }) => sum + session.streams, channels.size),
        stuck: live.filter(stuck).length,
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
