import {
  type Closer,
  type DialerFactory,
  type HostsEntry,
  hasCode,
  type Logger,
  type Plugin,
  type SessionFacts,
} from "@shipside/core";
import { type Cluster, NAMESPACES } from "@shipside/kube";
import {
  type ServiceRules,
  serviceRules,
  type TunneledService,
  type TunnelStatus,
  type TunnelTap,
  tunnelError,
} from "@shipside/tunnel";
import { daemonError } from "./errors.ts";
import { runHooks } from "./hooks.ts";
import { refusedForwards, refusedRight } from "./rbac/refusal.ts";
import { isApiServerService, openApiServer, withApiServer, withoutApiServer } from "./session-api-server.ts";
import type { SessionEvent, SessionOptions } from "./session-info.ts";
import { relayed, relayNotice, type SessionRelay, tellRelay } from "./session-relay.ts";
import { sessionServices } from "./session-services.ts";
import type { SessionTunnel } from "./session-tunnel.ts";
import type { Held } from "./shared.ts";
import { onTunnelEvents } from "./tunnel-events.ts";
import { entriesAtHome, problemsOf, tunnelFacts } from "./tunnel-facts.ts";

export interface TunnelWish {
  namespace: string;
  rules: ServiceRules;
  /** `host:port` */
  host?: string;
  /** The host's in the cluster, where it has one there and addresses are those of the cluster. */
  address?: string;
  /** How the host is reached. Default: the relay's. */
  dialer?: DialerFactory;
  /** Looks on at the connections. */
  look?: TunnelTap;
}

/** Whence a session's tunnels and relays come: other sessions may have the same. */
export interface TunnelSources {
  /** Services have the addresses that they have in the cluster. */
  readonly inCluster?: boolean;
  /** A tunnel of one namespace, or of one host that only the cluster reaches. */
  openTunnel(what: TunnelWish, relay: SessionRelay | undefined, signal: AbortSignal): Promise<Held<SessionTunnel>>;
  /** What dials from inside the cluster, in that namespace. Nothing is deployed by that. */
  openRelay(namespace: string, signal: AbortSignal): Promise<Held<SessionRelay>>;
}

export interface SessionTunnelsComponents extends TunnelSources {
  cluster: Cluster;
  /** Looks on at the connections of its tunnels, but for those to the API server. */
  look: TunnelTap | undefined;
  facts: SessionFacts;
  plugins: readonly Plugin[];
  logger: Logger;
  signal: AbortSignal;
  /** Undoes what is opened here. */
  closer: Closer;
  emit(event: SessionEvent): void;
  warn(error: unknown): void;
  /** The names have changed. */
  renamed(): void;
  /** A namespace is gone, and with it what the session is for. */
  giveUp(why: Error): void;
}

/** The tunnels of one session: of its namespaces, and of the hosts that only the cluster reaches. */
export interface SessionTunnels {
  /** As seen from the session's own namespace. */
  hostsEntries(): HostsEntry[];
  /** `host:port` of a service on this machine: see the tunnel package. */
  address(service: string, port?: number | string): string;
  /** By which the workload's env knows a service: its IP here, the API server's its name. */
  addressOf(service: { namespace: string; name: string }): string | undefined;
  /** What the workload's env says otherwise here than in the cluster. */
  readonly env: Readonly<Record<string, string>>;
  status(): Pick<TunnelStatus, "services" | "stale">;
}

/**
 * Opens them, tells of them, and follows what becomes of them. Rejects where one can't be opened, with `TUNNEL_SERVICE_UNKNOWN` for a
 * service that was asked for by name and isn't there, and with the cluster's refusal where `via` leaves no other way.
 */
export async function openSessionTunnels(options: SessionOptions, components: SessionTunnelsComponents): Promise<SessionTunnels> {
  const { cluster, facts, plugins, logger, signal, closer, look, emit, warn, renamed, giveUp, inCluster = false } = components;
  const { via, remoteHosts = [], also = [] } = options;
  const { namespace } = facts;
  const rules = sessionServices(options.services ?? [], namespace);
  const wanted = [...new Set([namespace, ...also, ...rules.namespaces])];

  const toldRefusals = new Set<string>();
  const warnRefused = (refusal: Error): void => {
    const right = refusedRight(refusal);
    if (toldRefusals.has(right)) return;
    toldRefusals.add(right);
    warn(refusal);
  };

  /** A relay for each namespace, by name. None is deployed by that. */
  const holdRelays = async (): Promise<Map<string, SessionRelay>> => {
    const relays = new Map<string, SessionRelay>();
    for (const where of wanted) {
      const { value: relay, release } = await components.openRelay(where, signal);
      closer.defer(release);
      relays.set(where, relay);
      closer.defer(relay.follow((event) => tellRelay(event, emit, warn)));
    }
    return relays;
  };

  /** By namespace, and by `host:port` for what only the cluster reaches. */
  const tunnels = new Map<string, SessionTunnel>();
  const allServices = (): TunneledService[] => [...tunnels.values()].flatMap((tunnel) => [...tunnel.services.values()]);
  const open = async (relays: ReadonlyMap<string, SessionRelay>, admitted: ServiceRules): Promise<void> => {
    const wishes: TunnelWish[] = [
      ...wanted.map((where) => ({ namespace: where, rules: admitted })),
      ...remoteHosts.map((host) => ({ namespace, rules: serviceRules([], namespace), host })),
    ];
    const results = await Promise.allSettled(
      wishes.map(async (wish) => {
        const { value, release } = await components.openTunnel(
          { ...wish, ...(look && { look }) },
          relays.get(wish.namespace),
          signal,
        );
        closer.defer(release);
        return [wish.host ?? wish.namespace, value] as const;
      }),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
    // In the order in which they were asked for: of two namespaces that want a name, the first has it.
    for (const result of results) if (result.status === "fulfilled") tunnels.set(...result.value);
    for (const each of admitted.named) {
      if (tunnels.get(each.namespace)?.services.has(`${each.namespace}/${each.name}`)) continue;
      throw tunnelError("TUNNEL_SERVICE_UNKNOWN", `there is no service ${each.name} in namespace ${each.namespace}`, {
        hint: `kubectl get services -n ${each.namespace} lists those there are; \`${each.name}*\` waits for one that comes`,
      });
    }
  };

  const tell = (): void => {
    const ports = [...tunnels.values()].flatMap((tunnel) => tunnel.status().services.flatMap((service) => service.ports));
    emit({
      step: "tunnels",
      namespaces: wanted,
      services: allServices().length,
      ports: ports.filter(({ state }) => state === "listening").length,
      failed: ports.filter(({ state }) => state === "failed").length,
    });
    const beyond = via === undefined ? relayed(allServices()) : [];
    if (beyond.length > 0) emit({ step: "notice", message: relayNotice(beyond) });
    for (const tunnel of tunnels.values()) for (const error of problemsOf(tunnel)) warn(error);
  };

  const gone = (where: string): Error =>
    daemonError("NAMESPACE_GONE", `namespace ${where} of ${facts.context} is gone; session ${facts.id} was closed`, {
      hint: "what it had made is undone; teleport again when the namespace is back",
    });
  const watchNamespace = (where: string, { tunnel }: SessionTunnel): void => {
    const look = (): void => {
      if (tunnel.services.size > 0 || closer.closing) return;
      void cluster.get(NAMESPACES, { name: where }, { signal: AbortSignal.timeout(10_000) }).then(
        ({ status }) => status?.phase === "Terminating" && giveUp(gone(where)),
        (error: unknown) => hasCode(error, "KUBE_NOT_FOUND") && giveUp(gone(where)),
      );
    };
    closer.defer(onTunnelEvents(tunnel.events, { "service-removed": look }));
  };
  const follow = (): void => {
    for (const [where, tunnel] of tunnels) {
      const hook = (name: "tunnelOpened" | "tunnelClosed", service: TunneledService): void =>
        void runHooks(plugins, name, facts, tunnelFacts([service]), logger, true);
      const unfollow = tunnel.follow({
        names: renamed,
        failed: warn,
        refused: warnRefused,
        added: (service) => hook("tunnelOpened", service),
        removed: (service) => hook("tunnelClosed", service),
      });
      closer.defer(unfollow);
      if (wanted.includes(where)) watchNamespace(where, tunnel);
    }
  };

  const asked = refusedForwards(cluster, wanted, signal);
  const relays = via === "port-forward" ? new Map<string, SessionRelay>() : await holdRelays();
  if (via === "relay") {
    // Without it no relay can be linked to, and nothing else is to be tried.
    const [refusal] = await asked;
    if (refusal) throw refusal;
    await Promise.all([...relays.values()].map((relay) => relay.link(signal)));
  }
  // Who has the workload's token is to find who takes it, and who is as though in the cluster knows it by its address.
  const api =
    options.mount || inCluster
      ? await openApiServer({
          ...{ cluster, namespace, inCluster, signal, emit, warn },
          openTunnel: components.openTunnel,
          relay: relays.get(namespace),
          byRelay: via === "relay",
        })
      : undefined;
  if (api) closer.defer(api.release);
  await open(relays, api && inCluster ? withoutApiServer(rules) : rules);
  tell();
  for (const refusal of await asked) warnRefused(refusal);
  await runHooks(plugins, "tunnelOpened", facts, tunnelFacts(allServices()), logger);
  closer.defer(() => runHooks(plugins, "tunnelClosed", facts, tunnelFacts(allServices()), logger));
  follow();

  return {
    hostsEntries() {
      const entries = [...tunnels].flatMap(([where, tunnel]) =>
        where.includes(":") ? tunnel.hostsEntries() : entriesAtHome(tunnel.hostsEntries(), where, where === namespace),
      );
      return withApiServer(entries, api);
    },
    address(service, port) {
      const [home, ...others] = wanted.map((where) => tunnels.get(where)!);
      const host = tunnels.get(`${service}:${port}`) ?? [...tunnels].find(([where]) => where.startsWith(`${service}:`))?.[1];
      if (host) return host.address(service, port);
      const named = others.find((tunnel) => service.includes(`.${tunnel.home}`) || service.startsWith(`${tunnel.home}/`));
      return (named ?? home!).address(service, port);
    },
    addressOf({ namespace: where, name }) {
      if (api && isApiServerService(where, name)) return api.name;
      return tunnels.get(where)?.services.get(`${where}/${name}`)?.address;
    },
    env: api?.env ?? {},
    status() {
      const all = [...tunnels.values(), ...(api ? [api] : [])].map((tunnel) => tunnel.status());
      return { services: all.flatMap(({ services }) => services), stale: all.flatMap(({ stale }) => stale) };
    },
  };
}
