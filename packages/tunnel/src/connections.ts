import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type Closable, ShipsideError, safeTap, type Target } from "@shipside/core";
import type { Candidate } from "./endpoints.ts";
import type { ConnectionFacts, ConnectionOutcome, TunnelTap } from "./events.ts";
import { forward, type Route } from "./forward.ts";
import { hostPort } from "./names.ts";

/** What went through a port. */
export interface Traffic {
  readonly sockets: Set<Socket>;
  total: number;
  failed: number;
  sent: number;
  received: number;
  counts(): { open: number; total: number; failed: number };
  /** Of the connections that are over and of those that are open. */
  bytes(): { sent: number; received: number };
}

/** Every connection of a tunnel. */
export interface Connections extends Closable {
  readonly open: number;
  readonly total: number;
  traffic(): Traffic;
  accept(client: Socket, target: Target, route: Route, traffic: Traffic): void;
}

export interface ConnectionsOptions {
  holdMs: number;
  /** How long connections may go on by themselves while closing, in ms. */
  graceMs: number;
  tap?: TunnelTap | undefined;
  /** A tap failed: it looks on no longer. */
  onTapFailed?(error: unknown): void;
  onOpen(facts: ConnectionFacts): void;
  onClose(outcome: ConnectionOutcome): void;
}

export function createConnections({
  holdMs,
  graceMs,
  tap,
  onTapFailed = () => {},
  onOpen,
  onClose,
}: ConnectionsOptions): Connections {
  const running = new Set<Promise<void>>();
  const end = new AbortController();
  let total = 0;
  let closed: Promise<void> | undefined;

  const carry = async (client: Socket, target: Target, route: Route, traffic: Traffic): Promise<void> => {
    const began = performance.now();
    const facts: ConnectionFacts = {
      id: ++total,
      namespace: target.namespace,
      service: target.service,
      ...(target.hostname !== undefined && { hostname: target.hostname }),
      port: target.port,
      client: hostPort(client.remoteAddress ?? "?", client.remotePort ?? 0),
    };
    traffic.total++;
    traffic.sockets.add(client);
    onOpen(facts);
    const { endpoint, attempts, heldMs, error } = await forward(client, route, {
      ...{ holdMs, signal: end.signal },
      ...(tap && { look: (candidate) => safeTap(() => tap({ ...facts, endpoint: nameOf(candidate) }), onTapFailed) }),
    });
    traffic.sockets.delete(client);
    if (error) traffic.failed++;
    const { bytesRead: sent, bytesWritten: received } = client;
    traffic.sent += sent;
    traffic.received += received;
    onClose({
      ...facts,
      ...(endpoint && { endpoint: nameOf(endpoint) }),
      attempts,
      heldMs,
      durationMs: Math.round(performance.now() - began),
      sent,
      received,
      ...(error && { error }),
    });
  };

  const close = async (): Promise<void> => {
    const over = new AbortController();
    await Promise.race([
      Promise.all(running).then(() => over.abort()),
      sleep(graceMs, undefined, { signal: over.signal }).catch(() => {}),
    ]);
    end.abort(new ShipsideError("ABORTED", "the tunnel was closed"));
    await Promise.all(running);
  };

  return {
    get open() {
      return running.size;
    },
    get total() {
      return total;
    },
    traffic: createTraffic,
    accept(client, target, route, traffic) {
      const done = carry(client, target, route, traffic).finally(() => running.delete(done));
      running.add(done);
    },
    close: () => (closed ??= close()),
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
}

const nameOf = ({ pod, address }: Candidate): string => (pod ? `${pod.namespace}/${pod.name}` : address);

function createTraffic(): Traffic {
  const traffic: Traffic = {
    sockets: new Set(),
    total: 0,
    failed: 0,
    sent: 0,
    received: 0,
    counts: () => ({ open: traffic.sockets.size, total: traffic.total, failed: traffic.failed }),
    bytes() {
      let { sent, received } = traffic;
      for (const socket of traffic.sockets) {
        sent += socket.bytesRead;
        received += socket.bytesWritten;
      }
      return { sent, received };
    },
  };
  return traffic;
}
