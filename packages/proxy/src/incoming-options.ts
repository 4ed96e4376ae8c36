import type { Socket as DatagramSocket } from "node:dgram";
import type { Interceptor, Logger, Tap } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import type { OnProxyEvent } from "./events.ts";

/** What an expose and an intercept take alike. */
export interface IncomingOptions {
  cluster: Cluster;
  /** Default the cluster's own. */
  namespace?: string;
  /** How long the relay stays when nobody is linked to it, in s, 1–86,400. Default 60. */
  graceSeconds?: number;
  /** `user@machine`, as shown to others. */
  holder: string;
  /** Of the relay. */
  image?: string;
  interceptors?: readonly Interceptor[];
  tap?: Tap;
  /** Makes a bound UDP socket, by which local UDP ports are reached from where it is; closed with its use. Default: one of this process. */
  datagramSocket?(): Promise<DatagramSocket>;
  logger?: Logger;
  /** Ends the opening. */
  signal?: AbortSignal;
  onEvent?: OnProxyEvent;
}
