/** What is open in the program that the inspector lives in, as the page shows it. Plain data. */
export interface SessionView {
  id: string;
  /** What a person calls it. */
  name: string;
  kind: string;
  /** What it is of: `deployment/core`, `service/web`, `namespace shop`. */
  of: string;
  context: string;
  namespace: string;
  /** ISO 8601. */
  openedAt: string;
  health: "well" | "unwell" | "unknown";
  /** What is to be known of it: why it isn't well, or how it stands. */
  notes: readonly string[];
  tunnels: readonly TunnelView[];
}

/** One port of a service, in one direction. */
export interface TunnelView {
  /** `out`: from here to the cluster. `in`: from the cluster to here. */
  direction: "in" | "out";
  namespace: string;
  service: string;
  port: number;
  protocol: string;
  /** `listening` where all is well. */
  state: string;
  /** On this machine, `host:port`; "" where there is none. */
  address: string;
  /** Why it isn't served, or what went wrong last; "" where nothing did. */
  error: string;
  pods: readonly { name: string; ready: boolean }[];
  connections: { open: number; total: number; failed: number };
  /** `sent` by who connected, `received` by them. */
  bytes: { sent: number; received: number };
}

/** Asked for once a second while somebody looks. */
export type SessionSource = () => readonly SessionView[];
