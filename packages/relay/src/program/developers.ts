import type { Duplex } from "node:stream";
import { HEADERS } from "../protocol.ts";
import type { Mux } from "../wire/mux.ts";
import type { HeldLease, Leases } from "./lease.ts";
import { bringConnection } from "./link.ts";

/** What a developer's end is told of a connection. */
export interface ConnectionInfo {
  /** The Service's port. */
  port: number;
  /** Who called: `address:port`. */
  peer: string;
  protocol?: "tcp" | "udp";
}

export interface Developers {
  /**
   * A stream to the machine of a lease's holder, with TCP's endings; undefined where that isn't linked. Rejects with `DIAL_REFUSED` where
   * nothing listens there, and as `bringConnection`.
   */
  open(held: HeldLease, info: ConnectionInfo, signal: AbortSignal): Promise<Duplex> | undefined;
}

/** Developers by their links. */
export interface LinkedDevelopers extends Developers {
  /** To be called for every way back that stands: `LinkHandlers.onAccept`. */
  attach(client: string, session: Mux): void;
}

export function createDevelopers({ leases }: { leases: Leases }): LinkedDevelopers {
  const sessions = new Map<string, Mux>();
  return {
    attach(client, session) {
      sessions.set(client, session);
      leases.linked(client);
      void session.closed.then(() => {
        if (sessions.get(client) !== session) return;
        sessions.delete(client);
        leases.unlinked(client);
      });
    },
    open({ lease, client }, { port, peer, protocol }, signal) {
      const session = sessions.get(client);
      if (!session || session.isClosed) return undefined;
      const headers = {
        [HEADERS.lease]: lease.id,
        [HEADERS.port]: String(port),
        [HEADERS.peer]: peer,
        ...(protocol === "udp" && { [HEADERS.protocol]: "udp" }),
      };
      return bringConnection(session, { authority: `developer:${port}`, headers, signal });
    },
  };
}
