import type { SessionSource, SessionView, TunnelView } from "@shipside/inspector";
import type { PortStatus, ServiceStatus } from "@shipside/tunnel";
import type { Session } from "../session.ts";
import { isArriving } from "../session-health.ts";
import type { IncomingInfo, ProbeResult } from "../session-info.ts";

/** While somebody looks, every API server is asked this often. */
const PROBE_MS = 10_000;

/** What the inspector's page shows of sessions: the same that `status` and `session list` say. */
export function sessionViews(sessions: () => readonly Session[], now: () => number = () => performance.now()): SessionSource {
  const probes = new Map<string, ProbeResult>();
  let asked = Number.NEGATIVE_INFINITY;
  const probe = async (open: readonly Session[]): Promise<void> => {
    const ids = new Set(open.map(({ id }) => id));
    for (const id of probes.keys()) if (!ids.has(id)) probes.delete(id);
    // Only the API server: to try tunnels would be traffic of its own among what is shown.
    await Promise.all(open.map(async (session) => probes.set(session.id, await session.probe({ most: 0 }))));
  };
  return () => {
    const open = sessions();
    if (now() - asked > PROBE_MS) {
      asked = now();
      void probe(open);
    }
    return open.map((session) => viewOf(session, probes.get(session.id)));
  };
}

function viewOf(session: Pick<Session, "info" | "services">, probe: ProbeResult | undefined): SessionView {
  const { id, name, kind, workload, namespace, context, openedAt, stale, incoming, names } = session.info();
  const away = probe && "error" in probe ? [`the API server does not answer: ${probe.error.message}`] : [];
  const strays = incoming && !isArriving(incoming) ? ["the cluster's traffic does not come here now: no relay is linked"] : [];
  const wrong = [...away, ...strays, ...stale.map(({ message }) => message)];
  return {
    id,
    name: name ?? id,
    kind,
    of: workload ?? `namespace ${namespace}`,
    ...{ context, namespace, openedAt },
    health: wrong.length > 0 ? "unwell" : probe ? "well" : "unknown",
    notes: [
      ...wrong,
      ...(probe && "answeredMs" in probe ? [`the API server answers in ${probe.answeredMs} ms`] : []),
      ...(incoming ? [`${incoming.relays.leased} of ${incoming.relays.ready} relay pods linked`] : []),
      ...(names.where === "hosts" ? [`${names.count} names in the hosts file`] : []),
    ],
    tunnels: [...session.services().flatMap(outgoing), ...(incoming ? incomingPorts(incoming) : [])],
  };
}

function outgoing({ namespace, name, ports, pods, unsupported }: ServiceStatus): TunnelView[] {
  const of = (port: PortStatus, service: string): TunnelView => ({
    direction: "out",
    ...{ namespace, service, port: port.port, protocol: port.protocol, state: port.state },
    address: port.address ?? "",
    error: port.error?.message ?? port.reason ?? unsupported ?? "",
    pods: port.endpoints.map(({ pod, address, ready }) => ({ name: pod ? `${pod.namespace}/${pod.name}` : address, ready })),
    ...{ connections: port.connections, bytes: port.bytes },
  });
  return [
    ...ports.map((port) => of(port, name)),
    ...pods.flatMap((pod) => pod.ports.map((port) => of(port, `${pod.hostname}.${name}`))),
  ];
}

const incomingPorts = ({ namespace, service, relay, relays, ports }: IncomingInfo): TunnelView[] =>
  ports.map(({ port, protocol, localPort, open, connections, refused, lastError, bytesIn, bytesOut }) => ({
    direction: "in",
    ...{ namespace, service, port, protocol },
    state: relays.leased > 0 ? "listening" : "unlinked",
    address: `127.0.0.1:${localPort}`,
    error: lastError ?? "",
    pods: [{ name: `${namespace}/${relay}`, ready: relays.leased > 0 }],
    connections: { open, total: connections, failed: refused },
    bytes: { sent: bytesIn, received: bytesOut },
  }));
