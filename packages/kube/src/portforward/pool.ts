import type { Duplex } from "node:stream";
import { abortError, type Closable, type Logger, type PodRef, silentLogger } from "@shipside/core";
import type { CarrierKind, Upgrade } from "./carrier.ts";
import { portForwardError } from "./errors.ts";
import { forwardTarget } from "./failure.ts";
import { type PoolLimits, poolLimits } from "./limits.ts";
import { createPodConnections, type PodConnections, type PodEnded } from "./pod-connections.ts";
import { createRelief } from "./relief.ts";
import { createSelector } from "./selection.ts";

export interface PortForwardPoolOptions extends Partial<PoolLimits> {
  upgrade: Upgrade;
  /** Default: nobody can tell. Asked where a dial hangs, so that it needn't for as long as the system retries (two minutes). */
  podEnded?: PodEnded;
  logger?: Logger;
}

export interface PodStats {
  pod: PodRef;
  connections: number;
  streams: number;
  /** Connections that stand still, because a reader, the pod or the network is behind. */
  stuck: number;
}

export interface PortForwardStats {
  /** How frames travel in this cluster; undefined until the first connection stands. */
  carrier: CarrierKind | undefined;
  connections: number;
  streams: number;
  /** Bytes moved since the start, both ways, of connections that are open. */
  bytes: number;
  pods: PodStats[];
}

/** Streams to ports of pods, over as few connections as let nobody stand in another's way. */
export interface PortForwardPool extends Closable {
  /**
   * A stream to `port` of `pod`: see {@link ForwardStream}. The port-forward API never says that a dial went well, so this resolves
   * with the pod's first byte, or where no refusal came within `settleMs`, or at once where this port of this pod has taken
   * connections before. A refusal after that is the stream's `error`: **a code that begins with `DIAL_` means that the pod got no
   * byte**, so that the same bytes may be sent to another pod; every other code means that it may have.
   *
   * Rejects with DIAL_REFUSED, DIAL_GONE, DIAL_FAILED (the cause says why), PORTFORWARD_CLOSED, or the signal's reason.
   */
  open(pod: PodRef, port: number, options?: { signal?: AbortSignal }): Promise<Duplex>;
  stats(): PortForwardStats;
  /**
   * Asks every connection for a sign of life and drops those that give none within 1.5 s. For whoever notices that the machine
   * slept or its network changed; a jump of the clock is noticed here.
   */
  revalidate(): Promise<void>;
}

const TICK_MS = 1_000;
/** A tick this late means that the process or the machine stood still. */
const JUMP_MS = 4_000;

export function createPortForwardPool(options: PortForwardPoolOptions): PortForwardPool {
  const limits = poolLimits(options);
  const logger = options.logger ?? silentLogger;
  const selector = createSelector({ upgrade: options.upgrade, carriers: limits.carriers, logger });
  const podEnded = options.podEnded ?? (async () => false);
  const relief = limits.relieveGarbage ? createRelief() : () => {};
  const pods = new Map<string, PodConnections>();
  const ending = new AbortController();
  let ticker: NodeJS.Timeout | undefined;
  let tickedAt = 0;
  let closed: Promise<void> | undefined;

  const podOf = (pod: PodRef): PodConnections => {
    const key = `${pod.namespace}/${pod.name}`;
    let connections = pods.get(key);
    if (!connections) {
      connections = createPodConnections({ pod, limits, logger, selector, relief, podEnded, signal: ending.signal });
      pods.set(key, connections);
    }
    if (!ticker) {
      tickedAt = Date.now();
      ticker = setInterval(tick, TICK_MS).unref();
    }
    return connections;
  };

  const tick = (): void => {
    const now = Date.now();
    const jumped = Math.abs(now - tickedAt - TICK_MS) > JUMP_MS;
    tickedAt = now;
    if (jumped) {
      logger.info("the clock jumped; port-forward connections are asked for a sign of life");
      void pool.revalidate();
    }
    for (const [key, connections] of pods) {
      connections.tick();
      if (connections.idle) pods.delete(key);
    }
    if (pods.size === 0) {
      clearInterval(ticker);
      ticker = undefined;
    }
  };

  const end = async (): Promise<void> => {
    clearInterval(ticker);
    ending.abort(portForwardError("PORTFORWARD_CLOSED", "the port-forward pool was closed"));
    await Promise.all([...pods.values()].map((connections) => connections.close()));
    pods.clear();
  };

  const pool: PortForwardPool = {
    async open(pod, port, { signal } = {}) {
      if (!Number.isInteger(port) || port < 1 || port > 65_535) {
        throw portForwardError("DIAL_FAILED", `can't forward to port ${port} of pod ${pod.namespace}/${pod.name}`, {
          hint: "A port is a whole number from 1 to 65535.",
        });
      }
      if (signal?.aborted) throw abortError(signal);
      if (closed)
        throw portForwardError("PORTFORWARD_CLOSED", `can't forward to pod ${pod.namespace}/${pod.name}: the pool was closed`);
      const target = forwardTarget(pod, port);
      return podOf(pod).open(target, signal);
    },
    stats() {
      const list = [...pods.values()].map((connections) => connections.stats());
      const sum = (of: "connections" | "streams" | "bytes"): number => list.reduce((total, pod) => total + pod[of], 0);
      return {
        carrier: selector.chosen,
        connections: sum("connections"),
        streams: sum("streams"),
        bytes: sum("bytes"),
        pods: list.map(({ pod, connections, streams, stuck }) => ({ pod, connections, streams, stuck })),
      };
    },
    async revalidate() {
      await Promise.all([...pods.values()].map((connections) => connections.revalidate()));
    },
    close: () => (closed ??= end()),
    [Symbol.asyncDispose]: () => pool.close(),
  };
  return pool;
}
