import { abortError, type Closable, createCloser, type HostsEntry, type Logger } from "@shipside/core";
import { type Cluster, connectCluster } from "@shipside/kube";
import { EventEmitter } from "eventemitter3";
import { lookUp } from "./address.ts";
import { addressBook } from "./address-book.ts";
import { admission, assertKnown, assertReachable, namespacesOf } from "./admission.ts";
import { createConnections } from "./connections.ts";
import { datagramReception } from "./datagram-reception.ts";
import { dialersFor } from "./dialers.ts";
import type { TunnelEventSource, TunnelEvents } from "./events.ts";
import { openIpPool } from "./ip-pool.ts";
import { localListeners } from "./listener.ts";
import { hostsEntriesOf, type NamedAddress } from "./names.ts";
import { type CheckedOptions, checkOptions, type TunnelOptions } from "./options.ts";
import { outsideViews } from "./outside.ts";
import { createPort } from "./port.ts";
import { connectionReception } from "./reception.ts";
import { type ServiceSource, type ServiceView, watchServices } from "./services.ts";
import { statusOf, type TunnelStatus } from "./status.ts";
import { createServiceTunnel, type ServiceTunnel, type TunneledService } from "./tunneled-service.ts";

export interface Tunnel extends Closable {
  readonly cluster: Cluster;
  /** The home namespace. */
  readonly home: string;
  /** By `namespace/name`. */
  readonly services: ReadonlyMap<string, TunneledService>;
  readonly events: TunnelEventSource;
  /** The names of everything that has an address of its own: none with `bind: "local"`. Equal states give equal entries. */
  hostsEntries(): HostsEntry[];
  /**
   * `host:port` of a service's port on this machine, by number or name; the port may be left out where there is one. `service` is any of
   * its names in the cluster, or `pod.service` for a pod of a headless one.
   * Throws `TUNNEL_SERVICE_UNKNOWN`, `TUNNEL_PORT_UNKNOWN`, `TUNNEL_PORT_FAILED`, `TUNNEL_UNSUPPORTED`.
   */
  address(service: string, port?: number | string): string;
  /** Asks the selectors of the plugins again about every service: what they go by has changed. Resolves when listeners have followed. */
  reselect(): Promise<void>;
  /** Plain data, for `--json` and for people who ask. */
  status(): TunnelStatus;
}

/** Ports that failed are tried again this often, in ms: who held one may have let go. */
const RETRY_MS = 5_000;
/** A pod that a StatefulSet makes anew is back sooner than this, in ms. */
const POD_LINGER_MS = 30_000;
/** On close, connections may end by themselves for this long, in ms. */
const CLOSE_GRACE_MS = 500;

/**
 * Brings a cluster's services to this machine. Resolves when everything is known and every port either listens or says why it doesn't;
 * nothing is dialled before somebody connects. Rejects with the codes of `TUNNEL_ERRORS` and of kube's `KUBE_ERRORS`, and then leaves
 * nothing behind. `close()` stops accepting, lets connections end (for half a second), then ends them, the watches and the cluster
 * that it connected.
 */
export async function openTunnel(options: TunnelOptions = {}): Promise<Tunnel> {
  const checked = checkOptions(options);
  const { signal } = options;
  if (signal?.aborted) throw abortError(signal);
  const closer = createCloser();
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(abortError(signal!));
    signal?.addEventListener("abort", onAbort, { once: true });
    closer.defer(() => signal?.removeEventListener("abort", onAbort));
  });
  aborted.catch(() => {});
  try {
    const cluster = options.cluster ?? closer.use(await connectCluster(connectOptions(options)));
    const tunnel = assemble(cluster, options, checked, closer);
    await Promise.race([tunnel.opened, aborted]);
    return tunnel.tunnel;
  } catch (error) {
    await closer.close().catch(() => {});
    throw error;
  }
}

function connectOptions({ kubeconfig, context, namespace, logger, signal }: TunnelOptions): Parameters<typeof connectCluster>[0] {
  return {
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(namespace !== undefined && { namespace }),
    ...(logger && { logger }),
    ...(signal && { signal }),
  };
}

function assemble(
  cluster: Cluster,
  options: TunnelOptions,
  checked: CheckedOptions,
  closer: ReturnType<typeof createCloser>,
): { tunnel: Tunnel; opened: Promise<void> } {
  const { bind, logger, plugins, holdMs } = checked;
  const home = options.namespace ?? cluster.info.namespace;
  const emitter = new EventEmitter<TunnelEvents>();
  const emit = safeEmit(emitter, logger);
  const services = new Map<string, TunneledService>();
  const tunnels = new Map<string, ServiceTunnel>();
  const closing = new Map<string, Promise<void>>();
  let open = false;
  let names = "";

  // In the order of opening, so that closing is: retry timer, listeners, connections, dialers, watches, pool, cluster.
  const pool = bind !== "local" ? closer.use(openIpPool({ ...checked.pool, logger })) : undefined;
  const book = pool && addressBook(pool, cluster.info.context);
  const source: ServiceSource = closer.use(
    watchServices({
      cluster,
      namespaces: namespacesOf(checked, home),
      onChange: (key) => void (open && track(key).catch(blunder)),
      onStale: (staleness) => emit("stale", staleness),
      onLive: (recovered) => emit("live", recovered),
    }),
  );
  const outside = outsideViews(checked.hosts ?? [], options.hostAddresses);
  const dialers = closer.use(dialersFor(plugins, cluster, logger));
  const connections = closer.use(
    createConnections({
      holdMs,
      graceMs: CLOSE_GRACE_MS,
      tap: options.tap,
      onTapFailed: (error) => logger.warn("a tap failed and looks on no longer", { error: String(error) }),
      onOpen: (facts) => emit("connection", facts),
      onClose: (outcome) => {
        if (outcome.error) logger.debug("connection ended with an error", { ...outcome, error: outcome.error.message });
        emit("connection-closed", outcome);
      },
    }),
  );
  const listeners = options.listeners ?? closer.use(localListeners());
  closer.defer(async () => {
    await Promise.all([...tunnels.values()].map((tunnel) => tunnel.close()));
    await Promise.all(closing.values());
  });

  /** A listener factory that can't close a listener, say: seen by somebody, but no reason to stop serving. */
  const blunder = (error: unknown): void => logger.error("unexpected, and gone on from", { error: String(error) });
  const admits = admission(checked, home, logger);

  const tellNames = (): void => {
    if (!open || closer.closing) return;
    const next = JSON.stringify(tunnel.hostsEntries());
    if (next === names) return;
    names = next;
    emit("names-changed");
  };

  const create = (view: ServiceView, key: string): ServiceTunnel =>
    createServiceTunnel(
      view,
      {
        bind,
        listeners,
        lingerMs: POD_LINGER_MS,
        handles: dialers.handles,
        addressOf: async (namespace, name, hostname) => book?.addressOf(namespace, name, hostname) ?? "127.0.0.1",
        createPort: (target) =>
          createPort({
            ...{ target, dial: dialers.dial, dialMs: dialers.dialMs },
            reception: target.protocol === "UDP" ? datagramReception({ logger }) : connectionReception(connections, target),
          }),
        onPort(event, service, port) {
          if (event === "port-failed") {
            logger.warn(`${key}:${port.port} is not served`, { error: port.error?.message });
            emit(event, service, port, port.error!);
          } else emit(event, service, port);
        },
        onUnsupported(what) {
          logger.info(`${key}${what.port ? `:${what.port}/${what.protocol}` : ""} is not served: ${what.reason}`);
          emit("unsupported", what);
        },
        onNames: tellNames,
        onBlunder: blunder,
      },
      closing.get(key) ?? Promise.resolve(),
    );

  /** Makes what is served of a service what is known of it. */
  const track = async (key: string): Promise<void> => {
    if (closer.closing) return;
    const view = outside.get(key) ?? source.view(key);
    const current = tunnels.get(key);
    if (!view || !(outside.has(key) || admits(view))) {
      if (!current) return;
      tunnels.delete(key);
      services.delete(key);
      book?.release(current.service.namespace, current.service.name);
      const closed = current
        .close()
        .catch(blunder)
        .finally(() => closing.get(key) === closed && closing.delete(key));
      closing.set(key, closed);
      emit("service-removed", current.service);
      tellNames();
      return closed;
    }
    if (current) {
      const before = markOf(current.service);
      const updated = current.update(view);
      if (open && markOf(current.service) !== before) emit("service-changed", current.service);
      return updated;
    }
    const tunnel = create(view, key);
    tunnels.set(key, tunnel);
    services.set(key, tunnel.service);
    await tunnel.update(view);
    if (open && tunnels.get(key) === tunnel) {
      emit("service-added", tunnel.service);
      tellNames();
    }
  };

  const tunnel: Tunnel = {
    cluster,
    home,
    services,
    events: emitter,
    hostsEntries: () => (bind === "local" ? [] : hostsEntriesOf([...services.values()].flatMap(addressesOf), home)),
    address: (service, port) => lookUp(services, home, service, port),
    // Before it is open, all are asked anyway.
    reselect: async () => (open ? trackAll() : undefined),
    status: () => statusOf({ cluster, home, services, stale: source.stale(), connections }),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };

  const trackAll = async (): Promise<void> =>
    void (await Promise.all([...new Set([...source.keys(), ...tunnels.keys()])].map(track)));

  const opened = (async () => {
    await Promise.all([source.synced, assertReachable(cluster, options.signal)]);
    await assertKnown(cluster, checked, home, source);
    await Promise.all([...source.keys(), ...outside.keys()].map(track));
    for (const { ports } of services.values()) {
      const exhausted = ports.find(({ error }) => (error as { code?: string } | undefined)?.code?.startsWith("POOL_"))?.error;
      if (exhausted) throw exhausted;
    }
    names = JSON.stringify(tunnel.hostsEntries());
    open = true;
    // What changed while ports were being opened.
    await trackAll();
    const retry = setInterval(() => {
      for (const each of tunnels.values()) if (each.hasFailures) each.retry().catch(blunder);
    }, RETRY_MS);
    retry.unref();
    closer.defer(() => clearInterval(retry));
  })();
  opened.catch(() => {});
  return { tunnel, opened };
}

/** What selectors go by and can change. */
const markOf = ({ facts: { labels, annotations } }: TunneledService): string => JSON.stringify([labels, annotations]);

/** A listener of an event that throws is the listener's fault, and costs no connection and no other listener's tunnel. */
function safeEmit(emitter: EventEmitter<TunnelEvents>, logger: Logger) {
  return <E extends keyof TunnelEvents>(event: E, ...args: Parameters<TunnelEvents[E]>): void => {
    try {
      emitter.emit(event, ...(args as never));
    } catch (error) {
      logger.error(`a listener of "${event}" threw`, { error: String(error) });
    }
  };
}

function addressesOf({ namespace, name, address, unsupported, pods }: TunneledService): NamedAddress[] {
  if (unsupported !== undefined) return [];
  const own = address === undefined ? [] : [{ namespace, service: name, address }];
  return [
    ...own,
    ...pods.flatMap((pod) => (pod.address ? { namespace, service: name, hostname: pod.hostname, address: pod.address } : [])),
  ];
}
