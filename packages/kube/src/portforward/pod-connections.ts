import { abortError, hasCode, type Logger, type PodRef } from "@shipside/core";
import type { CarrierFactory } from "./carrier.ts";
import { chooseConnection } from "./choice.ts";
import { portForwardError } from "./errors.ts";
import type { ForwardTarget } from "./failure.ts";
import type { PoolLimits } from "./limits.ts";
import { settle } from "./settle.ts";
import { createSpdySession, SERVER_WORKERS, type SpdySession } from "./spdy-session.ts";
import type { ForwardStream } from "./stream.ts";

/** Makes one connection to a pod. Rejects with DIAL_GONE or DIAL_FAILED. */
export type Connect = (pod: PodRef, signal: AbortSignal) => Promise<CarrierFactory>;

export interface PodConnectionsOptions {
  pod: PodRef;
  limits: PoolLimits;
  logger: Logger;
  connect: Connect;
  /** Ends what is under way. */
  signal: AbortSignal;
}

/** The connections to one pod. */
export interface PodConnections {
  /** Nothing is open or under way, so that this may be forgotten. */
  readonly idle: boolean;
  /** A failed dial has the property `reused` where it went over a connection that had been used before. */
  open(target: ForwardTarget, options: { signal: AbortSignal | undefined; fresh: boolean }): Promise<ForwardStream>;
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

/** A ping unanswered for this long makes a connection one to avoid. */
const SLOW_PING_MS = 1_500;
/** A ping unanswered for this long, while other things arrive: a part of the connection is blocked for good. */
const WEDGED_MS = 30_000;
const REVALIDATE_MS = 1_500;
/** A connection not heard from for longer is not trusted with a stream that isn't waited for. */
const TRUSTED_MS = 15_000;
/** A backlog of this size means that the server isn't reading. */
const STUCK_BACKLOG = 256 * 1024;

export function createPodConnections(options: PodConnectionsOptions): PodConnections {
  const { pod, limits, logger } = options;
  const connections: Connection[] = [];
  /** Ports that have taken connections. */
  const proven = new Set<number>();
  let underWay: Promise<Connection> | undefined;
  let opening = 0;

  const pings = (session: SpdySession): number => (session.streams > 0 ? SERVER_WORKERS : 1);

  const stuck = ({ session }: Connection): boolean =>
    session.stalled ||
    session.backlog > STUCK_BACKLOG ||
    (session.pingSince !== undefined && performance.now() - session.pingSince > SLOW_PING_MS);

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

  const add = (factory: CarrierFactory): Connection => {
    let resolve = (): void => {};
    const gone = new Promise<void>((done) => {
      resolve = done;
    });
    const now = performance.now();
    const connection: Connection = {
      session: createSpdySession(factory, {
        endings: limits,
        maxBufferedPerStream: limits.maxBufferedPerStream,
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

  /** One upgrade at a time; whoever needs a connection meanwhile waits for the same one. A failure is told to them and forgotten. */
  const connectFresh = (): Promise<Connection> => {
    underWay ??= options
      .connect(pod, AbortSignal.any([options.signal, AbortSignal.timeout(limits.connectMs)]))
      .then((factory) => add(factory))
      .finally(() => {
        underWay = undefined;
      });
    return underWay;
  };

  const acquire = async (fresh: boolean): Promise<Connection> => {
    if (fresh) return connectFresh();
    for (;;) {
      const { use, prepare } = chooseConnection(
        connections.map((connection) => ({
          streams: connection.session.streams,
          retired: connection.session.retired || connection.session.isClosed,
          stuck: stuck(connection),
          busy: connection.session.streams > 0 && rateOf(connection) > limits.busyBytesPerSecond,
        })),
        underWay ? 1 : 0,
        limits,
      );
      if (use === undefined) {
        const connection = await connectFresh();
        // Many may have waited for this one; they take it in turn, and the rest look again.
        if (!connection.session.isClosed && connection.session.streams < limits.streamsPerConnection) return connection;
        continue;
      }
      if (prepare) connectFresh().catch((error) => logger.debug("no spare port-forward connection", { cause: String(error) }));
      return connections[use] as Connection;
    }
  };

  const openOn = async (connection: Connection, target: ForwardTarget, signal: AbortSignal | undefined): Promise<ForwardStream> => {
    const { session } = connection;
    const reused = connection.used;
    connection.used = true;
    const trusted = proven.has(target.port) && performance.now() - session.heardAt < TRUSTED_MS && !stuck(connection);
    const stream = session.open(target);
    const judge = (error: unknown): void => {
      proven.delete(target.port);
      // Whatever this connection leads to, it is no longer the pod, or it doesn't answer.
      if (hasCode(error, "DIAL_GONE", "DIAL_FAILED")) {
        session.retire();
        if (session.streams === 0) session.close();
      }
    };
    if (trusted) {
      stream.onDialState(() => {
        if (stream.dialState === "failed" && hasCode(stream.failure, "DIAL_REFUSED", "DIAL_GONE", "DIAL_FAILED"))
          judge(stream.failure);
      });
      return stream;
    }
    try {
      await settle(stream, target, { acceptMs: limits.connectMs, settleMs: limits.settleMs, signal });
      proven.add(target.port);
      return stream;
    } catch (error) {
      if (hasCode(error, "DIAL_REFUSED", "DIAL_GONE", "DIAL_FAILED")) {
        judge(error);
        if (reused) Object.assign(error as object, { reused });
      }
      throw error;
    }
  };

  const self: PodConnections = {
    get idle() {
      return connections.length === 0 && underWay === undefined && opening === 0;
    },
    async open(target, { signal, fresh }) {
      opening++;
      try {
        const connection = await abortable(acquire(fresh), signal);
        return await openOn(connection, target, signal);
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
          if (session.retired) session.close();
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
        connections: live.length,
        streams: live.reduce((sum, { session }) => sum + session.streams, 0),
        stuck: live.filter(stuck).length,
        bytes: live.reduce((sum, { session }) => sum + session.bytes, 0),
      };
    },
    async close() {
      await underWay?.catch(() => {});
      const all = [...connections];
      for (const { session } of all) session.close();
      await Promise.all(all.map(({ gone }) => gone));
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
