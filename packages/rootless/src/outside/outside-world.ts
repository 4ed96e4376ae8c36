import type { Closable, ListenerFactory, Logger, ShipsideError } from "@shipside/core";

/** How a namespace reaches the rest of the world: `pasta` and `slirp4netns` carry any traffic, `proxy` (built in) HTTP and CONNECT. */
export type OutsideKind = "pasta" | "slirp4netns" | "proxy";

export interface OutsideOptions {
  /** A process in the network namespace, and in the user namespace that owns it (the agent). */
  pid: number;
  /** Makes listening sockets inside (the agent). Left open. */
  listeners: ListenerFactory;
  /** Default: the first of pasta, slirp4netns, proxy that works here. */
  use?: OutsideKind;
  /** Ports of this machine's localhost that 127.0.0.1 and ::1 inside reach, too. Nothing else of localhost is reachable. */
  hostPorts?: readonly HostPort[];
  /** Names, name endings (`.svc`) and CIDRs that programs must not ask the proxy for, besides localhost. */
  noProxy?: readonly string[];
  /** Of the cluster: what slirp4netns must not take for its own network. */
  clusterAddresses?: readonly string[];
  logger?: Logger;
  signal?: AbortSignal;
}

export interface HostPort {
  /** On this machine's localhost. */
  port: number;
  /** In the namespace. Default: the same. */
  inside?: number;
}

export interface OutsideWorld extends Closable {
  readonly kind: OutsideKind;
  /** What the command inside needs in its environment: proxy variables, or nothing. */
  readonly env: Readonly<Record<string, string>>;
  /** What was tried before `kind`, each with why it doesn't work here. */
  readonly without: readonly { kind: OutsideKind; error: ShipsideError }[];
  /** Resolves when the program that carries traffic has ended, by itself (with why) or by `close()` (undefined). */
  readonly ended: Promise<ShipsideError | undefined>;
}
