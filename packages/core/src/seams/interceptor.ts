import type { Duplex } from "node:stream";

/** A connection from inside the cluster that has come to this machine. */
export interface ArrivedConnection {
  namespace: string;
  /** The Service that it was for. */
  service: string;
  /** The Service's port, 1–65535. */
  port: number;
  protocol: "TCP" | "UDP";
  /** Who called, as the cluster sees it: `address:port`. */
  peer: string;
  /** The port of 127.0.0.1 that it is for, 1–65535. */
  localPort: number;
  /** By which rule it came here, for people: `requests with x-user: alice`. */
  route?: string;
}

/**
 * Stands between what arrives from the cluster (TCP) and the local process: it lets a connection through, changes its bytes, or answers
 * in the process's place. Of several the first one given is the outermost.
 */
export interface Interceptor {
  readonly name: string;
  /**
   * The local process's side of a connection: what `next` resolves to (the next interceptor, in the end the local port), or a stream of
   * one's own. It has `allowHalfOpen: true`; its `end` is a FIN, and an error or its destruction before both ends a reset.
   *
   * Rejects with what `next` rejects with, or with code `DIAL_REFUSED` where the cluster shall have the request instead; a rejection with
   * anything else is a failure (`DIAL_FAILED`). `signal` fires when the caller has gone: what was opened by then must be destroyed.
   */
  connect(connection: ArrivedConnection, next: () => Promise<Duplex>, options: { signal: AbortSignal }): Promise<Duplex>;
}

/** Looks on at one connection. What it throws ends its looking on, and nothing else; what it is given must not be changed. */
export interface TappedConnection {
  /** `in`: from the cluster to the local process. */
  data?(direction: "in" | "out", chunk: Uint8Array): void;
  /** That side will send nothing more. */
  end?(direction: "in" | "out"): void;
  /** It is over; with `error` where it was reset or failed. */
  close?(error?: Error): void;
}

/** Looks on at what arrives, and can't hold it up: nothing is awaited. Undefined: not at this connection. */
export type Tap = (connection: ArrivedConnection) => TappedConnection | undefined;
