import type { TappedConnection } from "@shipside/core";
import type { EventEmitter } from "eventemitter3";
import type { TunneledPort } from "./port.ts";
import type { TunneledService } from "./tunneled-service.ts";

export interface ConnectionFacts {
  /** Counts up from 1 in a tunnel. */
  id: number;
  namespace: string;
  service: string;
  /** Set where the client came to a pod of a headless service. */
  hostname?: string;
  port: number;
  /** `address:port` of the local process's end. */
  client: string;
}

/** Looks on at a connection that a pod has taken (`endpoint`: as in the outcome), and can't hold it up. Undefined: not at this one. */
export type TunnelTap = (connection: ConnectionFacts & { endpoint: string }) => TappedConnection | undefined;

export interface ConnectionOutcome extends ConnectionFacts {
  /** The pod that took it, as `namespace/name`, or an address; missing where none did. */
  endpoint?: string;
  /** How often a pod was dialled. */
  attempts: number;
  /** From the accept until a pod took it, in ms. */
  heldMs: number;
  /** From the accept to the end, in ms. */
  durationMs: number;
  /** Bytes from the client, and to it. */
  sent: number;
  received: number;
  /** What ended it, where it wasn't both sides in good order. */
  error?: Error;
}

export interface Unsupported {
  namespace: string;
  service: string;
  /** Missing where it is the whole service. */
  port?: number;
  protocol?: string;
  reason: string;
}

/** What holds a tunnel's view of the cluster back, and which watch it is. */
export interface Staleness {
  resource: "services" | "endpointslices";
  /** Missing for a watch of all namespaces. */
  namespace?: string;
  error: Error;
}

/** Everything a tunnel tells of. What was so before `openTunnel` resolved is in `services` and `status()`, not told again. */
export interface TunnelEvents {
  "service-added": (service: TunneledService) => void;
  "service-removed": (service: TunneledService) => void;
  /** Its labels or annotations are others: a selector of yours may judge it anew. */
  "service-changed": (service: TunneledService) => void;
  "port-opened": (service: TunneledService, port: TunneledPort) => void;
  "port-closed": (service: TunneledService, port: TunneledPort) => void;
  /** Told once for a reason, while the port is tried again. */
  "port-failed": (service: TunneledService, port: TunneledPort, error: Error) => void;
  connection: (connection: ConnectionFacts) => void;
  "connection-closed": (connection: ConnectionOutcome) => void;
  /** Once for each service or port and reason. */
  unsupported: (what: Unsupported) => void;
  /** The lines of `hostsEntries()` are others than before. */
  "names-changed": () => void;
  /** What is known of services or endpoints may be out of date; connections go on by what is known. */
  stale: (staleness: Staleness) => void;
  /** Up to date again. */
  live: (recovered: Omit<Staleness, "error">) => void;
}

export type TunnelEventSource = Pick<EventEmitter<TunnelEvents>, "on" | "once" | "off">;
