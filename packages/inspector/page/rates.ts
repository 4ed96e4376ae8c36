import type { OpenSessions, Tunnel } from "./api.ts";

/** A second's worth of a tunnel. */
export interface Rate {
  connections: number;
  /** Bytes. */
  sent: number;
  received: number;
}

export interface SessionsNow extends OpenSessions {
  /** By {@link tunnelKey}; none before there are two looks. */
  rates: ReadonlyMap<string, Rate>;
}

export const tunnelKey = (session: string, { direction, namespace, service, port, protocol, address }: Tunnel): string =>
  [session, direction, namespace, service, port, protocol, address].join(" ");

/** What has moved between two looks. A count that went back is another tunnel's: it has no rate yet. */
export function withRates(before: SessionsNow | undefined, now: OpenSessions): SessionsNow {
  const rates = new Map<string, Rate>();
  const seconds = before ? (now.at - before.at) / 1000 : 0;
  const old = new Map(before?.sessions.flatMap(({ id, tunnels }) => tunnels.map((each) => [tunnelKey(id, each), each] as const)));
  for (const { id, tunnels } of now.sessions) {
    for (const tunnel of tunnels) {
      const key = tunnelKey(id, tunnel);
      const was = old.get(key);
      if (!was || seconds <= 0) continue;
      const connections = (tunnel.connections.total - was.connections.total) / seconds;
      const sent = (tunnel.bytes.sent - was.bytes.sent) / seconds;
      const received = (tunnel.bytes.received - was.bytes.received) / seconds;
      if (connections >= 0 && sent >= 0 && received >= 0) rates.set(key, { connections, sent, received });
    }
  }
  return { ...now, rates };
}
