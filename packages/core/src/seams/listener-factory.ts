import type { Socket as DatagramSocket } from "node:dgram";
import type { Server } from "node:net";
import type { Closable } from "../closer.ts";

export interface ListenRequest {
  /** IPv4 or IPv6 address. The factory makes it usable first where the platform wants that (a loopback alias on macOS). */
  address: string;
  /** 1–65535, or 0 for any free one (then `Listener.port` says which). */
  port: number;
}

/** A listening socket in this process: traffic never passes through whoever made it. */
export interface Listener extends Closable {
  readonly address: string;
  /** As it is: never 0. */
  readonly port: number;
  /** Listening, with `allowHalfOpen` and `pauseOnConnect` set. Its `connection` events are the caller's. */
  readonly server: Server;
}

/** A bound UDP socket in this process. */
export interface DatagramListener extends Closable {
  readonly address: string;
  readonly port: number;
  readonly socket: DatagramSocket;
}

/**
 * Who makes a tunnel's listening sockets: this process, the helper, or a namespace agent.
 * `listen` rejects with code `LISTEN_IN_USE` (details: `holder` where it can be told), `LISTEN_FORBIDDEN` (a port or address that
 * needs a privilege this factory hasn't), or `LISTEN_FAILED`.
 */
export interface ListenerFactory extends Closable {
  readonly name: string;
  listen(request: ListenRequest): Promise<Listener>;
  /** The same for UDP. A factory without it leaves UDP sockets to the process itself. */
  listenDatagrams?(request: ListenRequest): Promise<DatagramListener>;
}
