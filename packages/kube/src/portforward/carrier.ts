import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";

export interface UpgradeRequest {
  method: "POST" | "GET";
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  signal: AbortSignal;
}

export interface Upgraded {
  socket: Duplex;
  /** Bytes that came behind the answer's head. */
  head: Buffer;
  /** Of the answer. */
  headers: IncomingHttpHeaders;
}

/**
 * Asks the API server to switch protocols, with the cluster's TLS, credentials and proxy. Rejects with a coded error for any answer
 * other than 101, whose `details.status` is the HTTP status.
 */
export type Upgrade = (request: UpgradeRequest) => Promise<Upgraded>;

/**
 * How streams travel: SPDY straight on the upgraded connection, the same inside a WebSocket (KEP-4006), or one WebSocket a stream
 * (`v4.channel.k8s.io`).
 */
export type CarrierKind = "spdy" | "websocket" | "channel";

/** The best first. */
export const CARRIER_KINDS: readonly CarrierKind[] = ["spdy", "websocket", "channel"];

/** A pipe of bytes under a SPDY session. Writes of one turn of the event loop leave together. */
export interface Carrier {
  readonly kind: CarrierKind;
  /** Bytes written that the system has not taken yet. */
  readonly backlog: number;
  write(bytes: Buffer): void;
  /** Stops and resumes reading. */
  pause(): void;
  resume(): void;
  /** Sends what was written, then ends. */
  end(): void;
  destroy(): void;
}

export interface CarrierHandler {
  data(chunk: Buffer): void;
  /** Some of the backlog went out. */
  flushed(): void;
  /** Called once. `cause` is undefined where the far side ended in good order. */
  closed(cause: Error | undefined): void;
}

export type CarrierFactory = (handler: CarrierHandler) => Carrier;
