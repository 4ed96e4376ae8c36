import type { Duplex } from "node:stream";
import type { Closable } from "../closer.ts";
import type { Logger } from "../logger.ts";

export interface PodRef {
  namespace: string;
  name: string;
}

/** One port of one service, or of one pod of a headless service. Stable while endpoints come and go. */
export interface Target {
  namespace: string;
  service: string;
  /** The service's own port number, 1–65535. */
  port: number;
  portName?: string;
  protocol: "TCP" | "UDP";
  /** Set where the target is one pod of a headless service: the pod's hostname in the service's subdomain. */
  hostname?: string;
}

/** One place that serves a target now. */
export interface Endpoint {
  /** IP address, or a DNS name as the cluster sees it (ExternalName). */
  address: string;
  /** The resolved number on that address (a named `targetPort` differs from pod to pod), 1–65535. */
  port: number;
  pod?: PodRef;
  node?: string;
}

export interface DialRequest {
  target: Target;
  endpoint: Endpoint;
  signal: AbortSignal;
}

/**
 * Opens duplex streams to targets. The stream
 * - has `allowHalfOpen: true` and honours backpressure both ways;
 * - turns a FIN of the far side into `end`, and a reset into `error` with code `ECONNRESET`;
 * - is independent of every other stream: one that stalls or fails disturbs no other.
 *
 * The stream of a UDP target carries datagrams, in the form of `encodeDatagram`; it may lose some where a reader is behind.
 *
 * `dial` rejects with code `DIAL_REFUSED` when nothing listens on the port, `DIAL_GONE` when the endpoint no longer exists,
 * `DIAL_FAILED` for every other reason before the first byte, with its cause. The caller may then try another endpoint.
 */
export interface Dialer extends Closable {
  readonly name: string;
  /** How long a dial may take, in ms, where that is more than the usual 5,000: something may have to be set up before the first one. */
  readonly dialMs?: number;
  dial(request: DialRequest): Promise<Duplex>;
}

export interface DialerComponents {
  logger: Logger;
  /** A stream to a port of a pod over the Kubernetes port-forward API. */
  portForward(pod: PodRef, port: number, options: { signal: AbortSignal }): Promise<Duplex>;
}

/** What a plugin contributes. The first factory whose `handles` says yes makes the dialer for a target; the built-in one is last. */
export interface DialerFactory {
  readonly name: string;
  /** Its dialer carries UDP: see {@link Dialer}. Else it is asked about TCP targets only. */
  readonly datagrams?: true;
  /** Taken only for what the built-in dialer can't reach: UDP, ExternalName services, endpoints that are no pods. */
  readonly fallback?: true;
  handles(target: Target): boolean;
  create(components: DialerComponents): Dialer;
}
