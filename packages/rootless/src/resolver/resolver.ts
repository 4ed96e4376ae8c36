import type { Closable, ListenerFactory, Logger } from "@shipside/core";
import type { ClusterService } from "./cluster-service.ts";
import type { Exchange } from "./exchange.ts";

export interface ResolverOptions {
  /** Makes the sockets, for UDP too: the agent's are inside the namespace. Left open. */
  listeners: ListenerFactory;
  /** Where to listen, UDP and TCP: the cluster DNS's ClusterIP, say. */
  addresses: readonly string[];
  /** Default 53. */
  port?: number;
  /** The cluster's domain. Default `cluster.local`. */
  zone?: string;
  /** Of records and of "no such name", in seconds. Default 5. */
  ttl?: number;
  services?: readonly ClusterService[];
  /** Namespaces that exist without a service. */
  namespaces?: readonly string[];
  /** Who answers for what the cluster doesn't. Default: the servers of this machine's resolv.conf. */
  exchange?: Exchange;
  logger?: Logger;
}

export interface Resolver extends Closable {
  /** Replaces all services; answers from now on are from these. */
  update(services: readonly ClusterService[], namespaces?: readonly string[]): void;
}
