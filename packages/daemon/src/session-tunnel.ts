import { errorFromJson, type HostsEntry } from "@shipside/core";
import { type ServiceRules, type Tunnel, type TunneledService, type TunnelStatus, tunnelError } from "@shipside/tunnel";
import { refusalIn } from "./rbac/refusal.ts";
import { onTunnelEvents } from "./tunnel-events.ts";

/** What a session sees of a namespace's tunnel: the services that its own rules admit. Other sessions may have the tunnel serve more. */
export interface SessionTunnel {
  readonly tunnel: Tunnel;
  /** The tunnel's namespace. */
  readonly home: string;
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, TunneledService>;
  hostsEntries(): HostsEntry[];
  /** As the tunnel's. */
  address(service: string, port?: number | string): string;
  status(): TunnelStatus;
  /** Tells what changes of its services. Returns its undo. */
  follow(listeners: TunnelListeners): () => void;
}

export interface TunnelListeners {
  names?(): void;
  added?(service: TunneledService): void;
  removed?(service: TunneledService): void;
  failed?(error: Error): void;
  /** A right is missing: what is known gets old, or nobody gets through to the pods. What is refused already is told at once. */
  refused?(error: Error): void;
}

export function sessionTunnel(tunnel: Tunnel, rules: ServiceRules): SessionTunnel {
  const { home } = tunnel;
  const admitted = (): Map<string, TunneledService> =>
    new Map([...tunnel.services].filter(([, service]) => rules.admits(service.facts)));
  return {
    tunnel,
    home,
    get services() {
      return admitted();
    },
    hostsEntries() {
      const addresses = new Set(
        [...admitted().values()].flatMap(({ address, pods }) => [address, ...pods.map((pod) => pod.address)]),
      );
      return tunnel.hostsEntries().filter(({ address }) => addresses.has(address));
    },
    address(service, port) {
      const address = tunnel.address(service, port);
      const has = ({ ports, pods }: TunneledService): boolean =>
        [...ports, ...pods.flatMap((pod) => pod.ports)].some((each) => each.address === address);
      if ([...admitted().values()].some(has)) return address;
      throw tunnelError("TUNNEL_SERVICE_UNKNOWN", `service ${service} is left out of this session by its rules`, {
        hint: "`services` of the session says which are in: the last rule that fits decides",
      });
    },
    status() {
      const status = tunnel.status();
      const keys = admitted();
      return { ...status, services: status.services.filter(({ namespace, name }) => keys.has(`${namespace}/${name}`)) };
    },
    follow({ names, added, removed, failed, refused }) {
      const known = new Map(admitted());
      const keyOf = ({ namespace, name }: TunneledService): string => `${namespace}/${name}`;
      const onAdded = (service: TunneledService): void => {
        if (!rules.admits(service.facts) || known.get(keyOf(service)) === service) return;
        known.set(keyOf(service), service);
        added?.(service);
      };
      const onRemoved = (service: TunneledService): void => {
        if (known.delete(keyOf(service))) removed?.(service);
      };
      const onChanged = (service: TunneledService): void => {
        const had = known.has(keyOf(service));
        if (had === rules.admits(service.facts)) return;
        if (had) onRemoved(service);
        else onAdded(service);
        names?.();
      };
      const onFailed = (service: TunneledService, _port: unknown, error: Error): void => {
        if (rules.admits(service.facts)) failed?.(error);
      };
      const onNames = (): void => names?.();
      const onRefused = ({ error }: { error?: Error }): void => {
        const refusal = refusalIn(error);
        if (refusal) refused?.(refusal);
      };
      for (const { error } of tunnel.status().stale) onRefused({ error: errorFromJson(error) });
      return onTunnelEvents(tunnel.events, {
        stale: onRefused,
        "connection-closed": onRefused,
        "service-added": onAdded,
        "service-removed": onRemoved,
        "service-changed": onChanged,
        "port-failed": onFailed,
        "names-changed": onNames,
      });
    },
  };
}
