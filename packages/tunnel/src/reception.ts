import type { Socket } from "node:net";
import type { Closable, ListenerFactory, ListenRequest, Target } from "@shipside/core";
import type { Connections } from "./connections.ts";
import type { Route } from "./forward.ts";

/** How a port takes what comes to it: connections, or datagrams. */
export interface Reception {
  /** Rejects as the factory does. Closing it stops accepting. */
  listen(listeners: ListenerFactory, request: ListenRequest, route: Route): Promise<Closable & { address: string; port: number }>;
  counts(): { open: number; total: number; failed: number };
  /** From the clients, and to them. */
  bytes(): { sent: number; received: number };
}

export function connectionReception(connections: Connections, target: Target): Reception {
  const traffic = connections.traffic();
  return {
    async listen(listeners, request, route) {
      const listener = await listeners.listen(request);
      listener.server.on("connection", (client: Socket) => connections.accept(client, target, route, traffic));
      return listener;
    },
    counts: traffic.counts,
    bytes: traffic.bytes,
  };
}
