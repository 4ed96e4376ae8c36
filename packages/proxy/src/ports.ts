import type { Pod, Service, ServicePort } from "@shipside/kube";
import { type AcceptPort, RESERVED_PORTS } from "@shipside/relay";
import { proxyError } from "./errors.ts";

/** What a person says of a port: `REMOTE[:LOCAL]`. */
export interface PortWish {
  /** A number, or a name of the Service or workload. */
  remote: number | string;
  /** On 127.0.0.1. Default: as `remote`. */
  local?: number;
  /** Of an exposed Service's port: `http=80:8080`. */
  name?: string;
  /** Default TCP; `53/udp`. */
  protocol?: "TCP" | "UDP";
}

const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/;

/** Reads `[NAME=]REMOTE[:LOCAL][/udp]`. Throws `PROXY_OPTION_INVALID`. */
export function parsePort(text: string): PortWish {
  const found = /^(?:([^=:/]+)=)?([^=:/]+)(?::(\d+))?(?:\/(tcp|udp))?$/i.exec(text.trim());
  const refuse = (why: string): Error =>
    proxyError("PROXY_OPTION_INVALID", `--port ${JSON.stringify(text)}: ${why}`, {
      hint: "REMOTE[:LOCAL], such as 80, 80:8080, http:8080; for another protocol 53:5353/udp; to name it web=80:8080",
    });
  if (!found) throw refuse("is not of the form [NAME=]REMOTE[:LOCAL][/udp]");
  const [, name, remote = "", local, protocol] = found;
  const wish: PortWish = { remote: /^\d+$/.test(remote) ? Number(remote) : remote };
  for (const number of [wish.remote, ...(local === undefined ? [] : [Number(local)])])
    if (typeof number === "number" && !(number >= 1 && number <= 65_535)) throw refuse(`${number} is no port: 1 to 65535`);
  for (const each of [name, wish.remote])
    if (typeof each === "string" && !PORT_NAME.test(each)) throw refuse(`${JSON.stringify(each)} is no port's name`);
  if (local !== undefined) wish.local = Number(local);
  if (name !== undefined) wish.name = name;
  if (protocol?.toUpperCase() === "UDP") wish.protocol = "UDP";
  return wish;
}

/** One port that is to come to this machine. */
export interface ClaimedPort {
  /** The Service's. */
  port: number;
  localPort: number;
  protocol: "TCP" | "UDP";
}

export interface InterceptPlan {
  /** What the relay takes: every port of the Service, for its selector is switched as a whole. */
  accept: AcceptPort[];
  claimed: ClaimedPort[];
}

type Claim = readonly [wish: Partial<PortWish>, port: ServicePort];

/** A word that says HTTP, as an `appProtocol` or at the beginning of a port's name (the convention that Istio made common). */
const HTTP = /^(http|https?2|h2c|grpc|web|rest|graphql|kubernetes\.io\/(h2c|ws))/i;
const SAYS_TLS = /^(https|tls|ssl|kubernetes\.io\/wss)/i;
const SAYS_TCP = /^(tcp|tls|https|mongo|mysql|redis|postgres|amqp|kafka|kubernetes\.io\/wss)/i;

/**
 * Which ports a relay in front of a Service takes and where it listens, and which of them are claimed. Two ports of the Service with one
 * target port are one for the relay: it can't tell them apart, nor can the pods. Throws `PROXY_PORT_UNKNOWN`.
 */
export function planIntercept(
  service: Service,
  wishes: readonly PortWish[],
  options: { pods: readonly Pod[]; backendHost: string; tcp: boolean; tls?: boolean },
): InterceptPlan {
  const { metadata, spec } = service;
  const ports = spec.ports ?? [];
  const perClient = keepsClients(service);
  const wanted = wishes.map((wish): Claim => [wish, findPort(service, wish)]);
  const claims =
    wanted.length > 0 ? wanted : ports.filter(({ protocol = "TCP" }) => protocol === "TCP").map((port): Claim => [{}, port]);
  const tlsOf = tlsPorts(service, options.tls ? claims.map(([, port]) => port) : []);
  const isClaimed = (port: ServicePort): boolean => claims.some(([, claimed]) => claimed === port);

  const accept: AcceptPort[] = [];
  const takenBy = new Map<ServicePort, AcceptPort>();
  for (const port of ports) {
    const protocol = port.protocol === "UDP" ? "UDP" : "TCP";
    const named = typeof port.targetPort === "string" ? port.targetPort : undefined;
    const same = accept.find(
      (other) =>
        other.protocol === protocol &&
        (named === undefined
          ? other.targetName === undefined && other.listen === (port.targetPort ?? port.port)
          : other.targetName === named),
    );
    if (same) {
      // What is looked into for one is looked into for the other.
      if (isClaimed(port)) Object.assign(same, { mode: modeOf(port, protocol, options.tcp, true) }, tlsOf(port));
      takenBy.set(port, same);
      continue;
    }
    const target = targetPortOf(port, options.pods);
    const listen = named === undefined ? target : freeListen(target, protocol, accept, ports);
    const made: AcceptPort = {
      port: port.port,
      ...(port.name !== undefined && { name: port.name }),
      listen,
      ...(named !== undefined && { targetName: named }),
      protocol,
      mode: modeOf(port, protocol, options.tcp, isClaimed(port)),
      ...tlsOf(port),
      backend: perClient ? { host: options.backendHost, port: target, perClient } : { host: options.backendHost, port: port.port },
      // A headless Service's name leads to pods, and for a while still to the relay's.
      ...(spec.clusterIP !== "None" && { restored: { host: `${metadata.name}.${metadata.namespace}.svc`, port: port.port } }),
    };
    accept.push(made);
    takenBy.set(port, made);
  }
  const claimed = claims.map(([wish, port]): ClaimedPort => {
    const { port: number, protocol } = takenBy.get(port)!;
    return { port: number, localPort: wish.local ?? port.port, protocol };
  });
  return {
    accept,
    claimed: claimed.filter(
      (one, i) => claimed.findIndex((other) => other.port === one.port && other.protocol === one.protocol) === i,
    ),
  };
}

/** Of the claimed ports those on which TLS ends: that say so, or where none does, all. Every name by which the pods may be called. */
function tlsPorts(
  { metadata: { name, namespace } }: Service,
  claimed: readonly ServicePort[],
): (port: ServicePort) => Pick<AcceptPort, "tls"> | undefined {
  const tcp = claimed.filter(({ protocol = "TCP" }) => protocol === "TCP");
  const saying = tcp.filter(({ port, name: says, appProtocol }) => port === 443 || SAYS_TLS.test(appProtocol ?? says ?? ""));
  const ends = saying.length > 0 ? saying : tcp;
  const names = [`${name}.${namespace}.svc`, `${name}.${namespace}.svc.cluster.local`, `${name}.${namespace}`, name];
  return (port) => (ends.includes(port) ? { tls: { names } } : undefined);
}

function modeOf(port: ServicePort, protocol: "TCP" | "UDP", tcp: boolean, claimed: boolean): AcceptPort["mode"] {
  if (protocol === "UDP") return "tcp";
  const says = port.appProtocol ?? port.name ?? "";
  if (claimed) return tcp ? "tcp" : "http";
  // Of ports that nobody asked for yet only those that say HTTP: in others the server may be the one that speaks first.
  return HTTP.test(says) && !SAYS_TCP.test(says) ? "http" : "tcp";
}

function findPort(service: Service, { remote, protocol = "TCP" }: PortWish): ServicePort {
  const { ports = [] } = service.spec;
  const found = ports.find(
    (port) => (port.protocol ?? "TCP") === protocol && (typeof remote === "number" ? port.port === remote : port.name === remote),
  );
  if (found) return found;
  const has = ports.map(
    ({ port, name, protocol: of = "TCP" }) => `${port}${name ? ` (${name})` : ""}${of === "TCP" ? "" : `/${of.toLowerCase()}`}`,
  );
  throw proxyError("PROXY_PORT_UNKNOWN", `service ${service.metadata.name} has no ${protocol} port ${remote}`, {
    hint: `it has ${has.join(", ")}`,
  });
}

/** Whether each client is to keep its pod. */
export const keepsClients = ({ spec }: Service): boolean => spec.sessionAffinity === "ClientIP" && spec.clusterIP !== "None";

/** The numbers that a name of a target port has in the pods: one, where they agree. */
export const numbersOf = (name: string, pods: readonly Pod[]): number[] => [
  ...new Set(
    pods
      .flatMap(({ spec }) => spec.containers.flatMap(({ ports = [] }) => ports))
      .flatMap((port) => (port.name === name ? [port.containerPort] : [])),
  ),
];

/** Where the pods listen, as far as is known; of a name that differs from pod to pod, any. */
function targetPortOf({ port, targetPort = port }: ServicePort, pods: readonly Pod[]): number {
  return typeof targetPort === "number" ? targetPort : (numbersOf(targetPort, pods)[0] ?? port);
}

/** `wanted`, or where that is taken by another target port or the relay itself, one that isn't. */
function freeListen(wanted: number, protocol: "TCP" | "UDP", accept: readonly AcceptPort[], ports: readonly ServicePort[]): number {
  const taken = new Set([
    ...RESERVED_PORTS,
    ...accept.filter((other) => other.protocol === protocol).map(({ listen }) => listen),
    ...ports.flatMap(({ port, targetPort = port }) => (typeof targetPort === "number" ? [targetPort] : [])),
  ]);
  let number = wanted;
  while (taken.has(number)) number = number >= 65_535 ? 20_000 : number + 1;
  return number;
}

/** Ports of an exposed Service: all numbers are ours to choose but the Service's own. */
export interface ExposePlan {
  accept: AcceptPort[];
  claimed: ClaimedPort[];
  ports: ServicePort[];
}

/** Low ports need a privilege in the pod; a Service's target port can be any. */
const FIRST_LISTEN = 20_000;

/** Throws `PROXY_PORT_UNKNOWN`, `PROXY_OPTION_INVALID`. `workloadPorts`: those of the workload whose ports are reused. */
export function planExpose(wishes: readonly PortWish[], workloadPorts: readonly ServicePort[] = []): ExposePlan {
  const given =
    wishes.length > 0
      ? wishes
      : workloadPorts.map(({ port, protocol }): PortWish => ({ remote: port, protocol: protocol === "UDP" ? "UDP" : "TCP" }));
  if (given.length === 0)
    throw proxyError("PROXY_OPTION_INVALID", "no port is given, and there is no workload that names one", {
      hint: "--port 80:8080",
    });
  const plan: ExposePlan = { accept: [], claimed: [], ports: [] };
  for (const [i, wish] of given.entries()) {
    const known = workloadPorts.find(
      ({ port, name, protocol = "TCP" }) => (wish.protocol ?? "TCP") === protocol && (port === wish.remote || name === wish.remote),
    );
    const port = typeof wish.remote === "number" ? wish.remote : known?.port;
    if (port === undefined) {
      const has = workloadPorts.map(({ port: number, name }) => `${number}${name ? ` (${name})` : ""}`).join(", ");
      throw proxyError("PROXY_PORT_UNKNOWN", `no port is known by the name ${JSON.stringify(wish.remote)}`, {
        hint: has ? `the workload has ${has}` : `say its number: ${wish.remote}=80:${wish.local ?? 8080}`,
      });
    }
    const protocol = wish.protocol ?? "TCP";
    if (plan.ports.some((other) => other.port === port && other.protocol === protocol))
      throw proxyError("PROXY_OPTION_INVALID", `port ${port} is given twice`, {
        hint: "each port of the Service can lead to one local port",
      });
    // With several ports, each must have a name (Service v1).
    const name = wish.name ?? known?.name ?? (given.length > 1 ? `port-${port}${protocol === "UDP" ? "-udp" : ""}` : undefined);
    const listen = FIRST_LISTEN + i;
    plan.ports.push({
      port,
      protocol,
      targetPort: listen,
      ...(name !== undefined && { name }),
      ...(known?.appProtocol !== undefined && { appProtocol: known.appProtocol }),
    });
    plan.accept.push({ port, listen, protocol, mode: "tcp", ...(name !== undefined && { name }) });
    plan.claimed.push({ port, localPort: wish.local ?? port, protocol });
  }
  const names = plan.ports.flatMap(({ name }) => name ?? []);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw proxyError("PROXY_OPTION_INVALID", `two ports have the name ${twice}`, { hint: "name them apart: web=80:8080" });
  return plan;
}
