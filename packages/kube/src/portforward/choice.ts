/** What decides whether a connection gets one more stream. */
export interface ConnectionFacts {
  /** Streams open on it. */
  streams: number;
  /** Takes no more: it is being closed, its ids ran out, or the far side said so. */
  retired: boolean;
  /** It stands still: a reader, the pod or the network is behind, or pings go unanswered. */
  stuck: boolean;
  /** Much has moved on it just now, so a stream of its own is better off elsewhere, and so is this one. */
  busy: boolean;
}

export interface ChoiceLimits {
  /** Connections among which streams are spread before they share. */
  spread: number;
  /** Connections at most; beyond it even busy ones are shared. */
  maxConnections: number;
  /** Streams on one connection before another one is made. */
  streamsPerConnection: number;
}

export interface Choice {
  /** The connection to use now; undefined: wait for a fresh one. */
  use: number | undefined;
  /** Make a fresh connection in the background, so that the next stream finds one with nobody on it. */
  prepare: boolean;
}

/**
 * Where the next stream goes. One with nobody on it is best: the server has no flow control, so whoever shares a connection stands
 * still with its neighbours. Making one costs a TLS handshake and an upgrade, so up to `spread` are made ahead and the rest share.
 */
export function chooseConnection(connections: readonly ConnectionFacts[], underWay: number, limits: ChoiceLimits): Choice {
  const open = connections.filter((connection) => !connection.retired);
  const least = (fits: (connection: ConnectionFacts) => boolean): number | undefined => {
    let best: number | undefined;
    connections.forEach((connection, index) => {
      if (connection.retired || !fits(connection)) return;
      if (best === undefined || connection.streams < (connections[best] as ConnectionFacts).streams) best = index;
    });
    return best;
  };
  const total = open.length + underWay;
  const calm = (connection: ConnectionFacts): boolean =>
    !connection.stuck && !connection.busy && connection.streams < limits.streamsPerConnection;

  const use = least(calm) ?? (total >= limits.maxConnections ? (least((c) => !c.stuck) ?? least(() => true)) : undefined);
  if (use === undefined) return { use, prepare: underWay === 0 };
  const emptyLeft = connections.some((other, index) => index !== use && !other.retired && other.streams === 0 && calm(other));
  return { use, prepare: !emptyLeft && underWay === 0 && total < Math.min(limits.spread, limits.maxConnections) };
}
