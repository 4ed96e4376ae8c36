/**
 * What the program in the cluster and our end of its link agree on. Both are built from the same sources, and the program is delivered
 * with each deployment, so the protocol has no versions to negotiate: an end of another build is told so by the first line.
 */

/** In the relay's pod, on 127.0.0.1: only somebody whom the API server lets port-forward into that pod gets there. */
export const CONTROL_PORT = 28600;
/** In the relay's pod, on every address: answers ready (200) or not (503), and nothing else. The kubelet can't probe 127.0.0.1. */
export const HEALTH_PORT = 28601;
/** Ports the relay needs for itself: a Service whose target port is one of them can't be intercepted. */
export const RESERVED_PORTS: readonly number[] = [CONTROL_PORT, HEALTH_PORT];

/** Raised with every change of what the link carries: an end of another number is refused by the first line. */
export const PROTOCOL = 2;

/**
 * The first line that we send on each stream to `CONTROL_PORT`, as JSON ended by `\n`. The answer is one line of {@link Welcome}; after
 * it frames (`wire/frames.ts`) carry many streams on the one.
 * - `dial`: we open the streams, for connections inside the cluster and for requests of the control API.
 * - `accept`: the relay does, for each connection that it brings us.
 */
export interface Greeting {
  shipside: typeof PROTOCOL;
  role: "dial" | "accept";
  /** Of this relay: asked for besides the right to port-forward into its pod. */
  secret: string;
  /** Random, one per link: what belongs to one developer's two streams. */
  client: string;
}

export type Welcome = { ok: true; version: string } | { ok: false; code: string; message: string };

/** What is told of a connection beside its authority (`host:port`; an IPv6 address in brackets). */
export const HEADERS = {
  /** `tcp` (default) or `udp`: then each datagram is two bytes of length, most significant first, and that many bytes. */
  protocol: "shipside-protocol",
  /** To us: whose traffic it is. */
  lease: "shipside-lease",
  /** To us: the Service's port that it came in by, and who called (`address:port`). */
  port: "shipside-port",
  peer: "shipside-peer",
} as const;

/** A connection to this is an SFTP session (version 3, without SSH) with the directories of `RelayConfig.files`. No host has it: it has no port. */
export const FILES_AUTHORITY = "files";

/** One port on which the relay takes the cluster's traffic. */
export interface AcceptPort {
  /** The Service's. */
  port: number;
  name?: string;
  /** Where the relay listens in its pod: the Service's target port, so that of the Service only its selector's values change. */
  listen: number;
  /** The Service's target port where that is a name: a port of the relay's container has it. */
  targetName?: string;
  protocol: "TCP" | "UDP";
  /** `http`: looked into, request by request. `tcp`: a connection as a whole. */
  mode: "http" | "tcp";
  /** Where traffic goes that is nobody's; none: it is refused (an exposed port has nothing behind it). */
  backend?: {
    host: string;
    port: number;
    /** Each client keeps its pod: then `host` is a headless Service, and `port` the pods' own. */
    perClient?: boolean;
  };
  /** TLS ends at the relay, by the Secret of `RelayConfig.tls`, and begins anew to the backend; what begins otherwise is taken as it is. */
  tls?: {
    /** The backend's own names: one of them, or the one that the client asked for, must be in its certificate. Best first. */
    names: readonly string[];
  };
  /** Where that goes when all has been put back and only what drains is left: the backend may be gone by then. */
  restored?: { host: string; port: number };
}

/** On a switched Service: the record of who switched it and what it was. The relay takes it off when it restores the Service. */
export const INTERCEPT_ANNOTATION = "shipside.dev/intercept";

/** What the relay undoes by itself when its last lease is gone for `graceSeconds`, and how: see `switchSelector`. */
export interface SwitchRecord {
  service: string;
  /** The Service's uid: another Service of that name is left alone. */
  uid: string;
  /** The selector as it was, and as it is while switched: the same keys. */
  original: Readonly<Record<string, string>>;
  switched: Readonly<Record<string, string>>;
}

/** The relay's configuration: `config.json` beside the program. */
export interface RelayConfig {
  /** The Deployment's name; everything that the relay needs is owned by it. */
  name: string;
  namespace: string;
  graceSeconds: number;
  /** Default 3. */
  settleSeconds?: number;
  accept: readonly AcceptPort[];
  switch?: SwitchRecord;
  /** Directories of its pod that it serves: see {@link FILES_AUTHORITY}. */
  files?: readonly string[];
  /** How long nothing may come of them until whoever asked has given up, in ms. Default 10,000. */
  silenceMs?: number;
  /** The Secret of type `kubernetes.io/tls` by which TLS ends here, and the directory where the kubelet keeps it current. */
  tls?: { secret: string; directory: string };
}

/** Which requests are meant. All that are given must hold. */
export interface Match {
  /** Every request, and every connection of a `tcp` port. */
  all?: true;
  headers?: ReadonlyArray<{ name: string; value: string } | { name: string; regex: string }>;
  path?: { exact: string } | { prefix: string } | { regex: string };
  methods?: readonly string[];
  /** Entries of the W3C `baggage` header. */
  baggage?: ReadonlyArray<{ key: string; value: string }>;
}

/** A developer's claim on some of a relay's traffic. It lives as long as the link it came by, and no longer than 5 s without it. */
export interface Lease {
  id: string;
  /** As shown to others: `user@machine`. */
  holder: string;
  /** The Service's ports. */
  ports: readonly number[];
  match: Match;
  /** Send a copy, and let the cluster answer. */
  mirror?: boolean;
  /** How long a request waits for a local process that is away, in ms; 0: it goes to the cluster at once. */
  holdMs: number;
  /**
   * All that is wished, the local ports too, as a digest. Leases of one holder with the same wish were opened more than once for one
   * thing: they are no conflict, the oldest that is linked is served, and the traffic is theirs until the last one ends.
   */
  wish?: string;
}

export interface RelayStatus {
  name: string;
  pod: string;
  version: string;
  ready: boolean;
  leases: ReadonlyArray<Lease & { since: string; connected: boolean; requests: number; connections: number }>;
  /** Connections opened before the switch are their pods'; these are the relay's own. */
  connections: number;
}

/**
 * The control API, on a `dial` link. Bodies are JSON; an error has a status ≥ 400 and `{ code, message, hint?, details? }`.
 *
 * | request | |
 * | --- | --- |
 * | `GET /status` | {@link RelayStatus} |
 * | `PUT /leases/ID[?take-over]` | a {@link Lease}, made or renewed; 409 `LEASE_TAKEN` (details: `holder`, `since`) where another's overlaps |
 * | `DELETE /leases/ID` | ends it |
 * | `POST /end` | restores the Service, drains, and removes everything of the relay's |
 */
export const CONTROL_PATHS = { status: "/status", leases: "/leases/", end: "/end" } as const;
