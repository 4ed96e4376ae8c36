import { once } from "node:events";
import { connect } from "node:net";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import { type DialerFactory, errorFromJson, type HostsEntry } from "@shipside/core";
import { type Cluster, SERVICES } from "@shipside/kube";
import { type ServiceRules, serviceRules, type TunnelStatus, tunnelError } from "@shipside/tunnel";
import type { SessionEvent } from "./session-info.ts";
import type { SessionRelay } from "./session-relay.ts";
import type { TunnelSources } from "./session-tunnels.ts";

/** The name by which programs in a pod know the API server; its certificate carries it in every cluster. */
const API_SERVER = "kubernetes.default.svc";
const NAMES = ["kubernetes.default", API_SERVER, `${API_SERVER}.cluster.local`];
const HTTPS = 443;
/** The second where this user may not listen on the first: programs take it from KUBERNETES_SERVICE_PORT. */
const PORTS = [HTTPS, 6443];
/** For the look at its certificate, in ms. */
const LOOK_MS = 3_000;

/** The API server on this machine, by the name that it has in the cluster. */
export interface ApiServer {
  /** By which the workload's env knows it: its IP where that is the one in the cluster. */
  readonly name: string;
  /** Of its own name only: {@link withApiServer} puts them among others. */
  hostsEntries(): HostsEntry[];
  /** What a client in a pod goes by. */
  readonly env: Readonly<Record<string, string>>;
  status(): TunnelStatus;
  release(): Promise<void>;
}

export interface ApiServerComponents extends Pick<TunnelSources, "openTunnel"> {
  cluster: Cluster;
  /** It has the address there that it has in the cluster, where this user may know that. */
  inCluster: boolean;
  namespace: string;
  /** Undefined: none may be used. */
  relay: SessionRelay | undefined;
  /** Everything goes by the relay. */
  byRelay: boolean;
  signal: AbortSignal;
  emit(event: SessionEvent): void;
  warn(error: unknown): void;
}

/**
 * Gives the API server's name in the cluster an address here, so that a client in its in-cluster form works with the workload's own token. It leads to the
 * kubeconfig's server where that is the API server itself, and through a relay where it is a proxy. Undefined where neither can be; that is told.
 */
export async function openApiServer(components: ApiServerComponents): Promise<ApiServer | undefined> {
  const { cluster, inCluster, namespace, relay, byRelay, openTunnel, signal, emit, warn } = components;
  const { server } = cluster.info;
  const direct = !byRelay && (await isApiServer(server, signal));
  if (!direct && !byRelay) {
    const way = relay
      ? "it is reached through a relay, deployed when it is first connected to"
      : "it can't be reached without a relay, which `--via port-forward` rules out";
    emit({ step: "notice", message: `${API_SERVER}: ${server} doesn't answer by that name; ${way}` });
  }
  const dialer = direct ? serverDialer(server) : relay && onPort(HTTPS, relay.dialerFactory({ all: true }));
  if (!dialer) return undefined;
  const address = inCluster ? await addressInCluster(cluster, signal) : undefined;
  for (const port of PORTS) {
    const host = `${API_SERVER}:${port}`;
    const { value, release } = await openTunnel(
      { namespace, rules: serviceRules([], namespace), host, dialer, ...(address !== undefined && { address }) },
      undefined,
      signal,
    );
    const [listener] = value.status().services.flatMap(({ ports }) => ports);
    if (listener?.state === "listening") {
      return {
        name: address ?? API_SERVER,
        hostsEntries: () => value.hostsEntries().map((entry) => ({ ...entry, names: NAMES })),
        env: {
          KUBERNETES_SERVICE_HOST: address ?? API_SERVER,
          KUBERNETES_SERVICE_PORT: String(port),
          KUBERNETES_SERVICE_PORT_HTTPS: String(port),
        },
        status: () => value.status(),
        release,
      };
    }
    await release();
    if (port === PORTS.at(-1) && listener?.error) warn(errorFromJson(listener.error));
  }
  return undefined;
}

/** Its Service in the cluster. */
export const isApiServerService = (namespace: string, name: string): boolean => namespace === "default" && name === "kubernetes";

/** Its address is one socket's: the tunnel of the namespace `default` leaves it alone. */
export const withoutApiServer = (rules: ServiceRules): ServiceRules => ({
  ...rules,
  named: rules.named.filter(({ namespace, name }) => !isApiServerService(namespace, name)),
  admits: (service) => !isApiServerService(service.namespace, service.name) && rules.admits(service),
});

/** Undefined where this user may not read that Service. */
async function addressInCluster(cluster: Cluster, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { spec } = await cluster.get(SERVICES, { namespace: "default", name: "kubernetes" }, { signal });
    return spec.clusterIP;
  } catch (error) {
    if (signal.aborted) throw error;
    return undefined;
  }
}

/** A name comes once: the `kubernetes` service of a namespace `default` that is here too leads through a relay. */
export function withApiServer(entries: readonly HostsEntry[], api: ApiServer | undefined): HostsEntry[] {
  const own = api?.hostsEntries() ?? [];
  if (own.length === 0) return [...entries];
  const others = entries.map((entry) => ({ ...entry, names: entry.names.filter((name) => !NAMES.includes(name)) }));
  return [...others.filter(({ names }) => names.length > 0), ...own];
}

/** False for a proxy before it, by its certificate or by a path in its URL, and for one that can't be reached without a proxy. */
async function isApiServer(server: string, signal: AbortSignal): Promise<boolean> {
  const { protocol, pathname } = new URL(server);
  if (protocol !== "https:" || pathname.replaceAll("/", "") !== "") return false;
  // Who it is, the client itself checks, by the cluster's own authority. Here it is only asked what it calls itself.
  const socket = connectTls({ ...placeOf(server), servername: API_SERVER, rejectUnauthorized: false });
  socket.on("error", () => {});
  try {
    await once(socket, "secureConnect", { signal: AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]) });
    return checkServerIdentity(API_SERVER, socket.getPeerCertificate()) === undefined;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

function placeOf(server: string): { host: string; port: number } {
  const { hostname, port } = new URL(server);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || HTTPS) };
}

/** Bytes as they are: TLS is between the client and the API server. */
const serverDialer = (server: string): DialerFactory => ({
  name: "api-server",
  handles: () => true,
  create: () => ({
    name: "api-server",
    async dial({ signal }) {
      const socket = connect({ ...placeOf(server), allowHalfOpen: true, noDelay: true });
      socket.on("error", () => {});
      try {
        await once(socket, "connect", { signal });
        return socket;
      } catch (cause) {
        socket.destroy();
        throw tunnelError("DIAL_FAILED", `${API_SERVER}: could not connect to ${server}`, { cause });
      }
    },
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  }),
});

/** In the cluster it has one port, whichever it has here. */
const onPort = (port: number, factory: DialerFactory): DialerFactory => ({
  ...factory,
  create(components) {
    const dialer = factory.create(components);
    return { ...dialer, dial: (request) => dialer.dial({ ...request, endpoint: { ...request.endpoint, port } }) };
  },
});
