import type { Match } from "@shipside/relay";
import type { IncomingOptions } from "./incoming-options.ts";
import type { PortWish } from "./ports.ts";
import type { InterceptTrace } from "./relay-end.ts";

export interface InterceptOptions extends IncomingOptions {
  service: string;
  /** Default: every TCP port, each to the same number of 127.0.0.1. */
  ports?: readonly PortWish[];
  match: Match;
  /** The ports carry no HTTP: connections as a whole, which takes `match.all`. */
  tcp?: boolean;
  /**
   * A Secret of type `kubernetes.io/tls` in the Service's namespace: where a connection to these ports begins with TLS, that ends at the relay
   * by this certificate, requests come here as plain HTTP, and to the pods TLS begins anew. The Secret never leaves the cluster.
   */
  tlsSecret?: string;
  /** This machine gets copies, and the cluster answers. */
  mirror?: boolean;
  /** End what other developers have of the same traffic. */
  takeOver?: boolean;
  /** How long a request waits for a local process that is away, in ms, 0–86,400,000. Default 0: it goes to the cluster at once. */
  holdMs?: number;
  /**
   * How long the relay goes on taking connections at least after the Service was given back, in s, 0–60: every node has to learn of that.
   * Default 3. It is the first one's who intercepts that Service.
   */
  settleSeconds?: number;
  /** Called before anything is made, with what `endIntercept` takes. What it returns is called when all is undone. */
  record?(trace: InterceptTrace): Promise<() => Promise<void>>;
}
