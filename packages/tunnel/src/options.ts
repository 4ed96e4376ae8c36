import { type ListenerFactory, type Logger, type Plugin, silentLogger } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { tunnelError } from "./errors.ts";
import type { TunnelTap } from "./events.ts";
import { parseRange } from "./ip-pool.ts";
import { parseHostPort } from "./outside.ts";
import { ruleProblem } from "./selection.ts";

export interface TunnelOptions {
  /** Used and left open. Without it, one is connected by the next three, and closed with the tunnel. */
  cluster?: Cluster;
  /** Path of a kubeconfig file. */
  kubeconfig?: string;
  /** Default: the kubeconfig's current one. */
  context?: string;
  /** The home namespace: its services also have their short names. Default: the context's. */
  namespace?: string;
  /** Whose services. Default: the home namespace, or those that `services` names. `["*"]` for all. */
  namespaces?: string[];
  /**
   * Rules, of which the last one that fits a service decides: `name` (home), `name.namespace`, `*.namespace`, `name-*`, label selectors
   * (`app=web,tier!=test`), and each of them after `!`. A service that is named in full must be there. Default: every service that the
   * plugins' selectors admit.
   */
  services?: string[];
  /**
   * `host:port`: hosts that only the cluster can reach, each with an address and its own name here. It takes a dialer that reaches them (a
   * plugin's). Without `services` and `namespaces`, nothing else is served.
   */
  hosts?: string[];
  /**
   * `pool` (default): an IP of its own for each service, the ports as in the cluster. `local`: 127.0.0.1 and a free port for each
   * service port; ask `address()`. `cluster`: the services' own ClusterIPs and pods' IPs, for listeners that are made in a network
   * namespace; what has none there has one of the pool.
   */
  bind?: "pool" | "local" | "cluster";
  /** With `bind: "cluster"`: the addresses in the cluster of those of `hosts` that have one, by `host:port`. */
  hostAddresses?: Readonly<Record<string, string>>;
  pool?: {
    /** An IPv4 range, prefix 8–32. Default 127.72.0.0/14. */
    cidr?: string;
    /** Keeps addresses the same from run to run. Default `$XDG_STATE_HOME/shipside/addresses.json`; `false` keeps nothing. */
    stateFile?: string | false;
  };
  /** Who makes listening sockets; left open. Default: this process. */
  listeners?: ListenerFactory;
  /** How long a connection waits for a pod that takes it, in ms, 0–600,000. Default 10,000. */
  holdMs?: number;
  plugins?: readonly Plugin[];
  /** Looks on at TCP connections from when a pod has taken them, what was sent before then included. */
  tap?: TunnelTap;
  logger?: Logger;
  /** Ends the opening. What is open by then is closed. */
  signal?: AbortSignal;
}

export interface CheckedOptions {
  namespaces: readonly string[] | undefined;
  services: readonly string[] | undefined;
  hosts: readonly string[] | undefined;
  bind: "pool" | "local" | "cluster";
  pool: { cidr?: string; stateFile?: string | false };
  holdMs: number;
  plugins: readonly Plugin[];
  logger: Logger;
}

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Throws `TUNNEL_OPTIONS`, `POOL_INVALID`. */
export function checkOptions(options: TunnelOptions): CheckedOptions {
  const invalid = (option: string, why: string, hint: string): Error =>
    tunnelError("TUNNEL_OPTIONS", `openTunnel: ${option} ${why}`, { hint });
  const { namespaces, services, hosts, bind = "pool", pool = {}, holdMs = 10_000, plugins = [], logger = silentLogger } = options;

  const strings = (option: string, value: unknown, fits: (item: string) => boolean, form: string): void => {
    if (value === undefined) return;
    if (!Array.isArray(value) || value.length === 0)
      throw invalid(option, "must be a list that isn't empty", `leave it out, or give ${form}`);
    const bad = value.find((item) => typeof item !== "string" || !fits(item));
    if (bad !== undefined) throw invalid(option, `holds ${JSON.stringify(bad)}`, `each must be ${form}`);
  };
  strings("namespaces", namespaces, (item) => item === "*" || LABEL.test(item), 'a namespace\'s name, or "*"');
  strings(
    "services",
    services,
    (item) => ruleProblem(item) === undefined,
    '"name", "name.namespace", "*.namespace", "app=web", or one of them after "!"',
  );
  strings("hosts", hosts, (item) => parseHostPort(item) !== undefined, '"name:port", the name a DNS name and no address');
  if (options.namespace !== undefined) strings("namespace", [options.namespace], (item) => LABEL.test(item), "a namespace's name");
  if (bind !== "pool" && bind !== "local" && bind !== "cluster")
    throw invalid("bind", `is ${JSON.stringify(bind)}`, 'it must be "pool", "local" or "cluster"');
  if (typeof holdMs !== "number" || !(holdMs >= 0 && holdMs <= 600_000)) {
    throw invalid("holdMs", `is ${JSON.stringify(holdMs)}`, "it must be a number of ms from 0 to 600000");
  }
  if (!Array.isArray(plugins)) throw invalid("plugins", "must be a list", "each made by definePlugin of @shipside/core");
  if (pool.cidr !== undefined) parseRange(pool.cidr);
  return { namespaces, services, hosts, bind, pool, holdMs, plugins, logger };
}
