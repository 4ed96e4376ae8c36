import { tunnelError } from "./errors.ts";
import { serviceKey } from "./names.ts";
import { OUTSIDE } from "./outside.ts";
import type { TunneledPort } from "./port.ts";
import type { TunneledService } from "./tunneled-service.ts";

/** `host:port` of what is asked for, or an error that says what there is. */
export function lookUp(services: ReadonlyMap<string, TunneledService>, home: string, name: string, port?: number | string): string {
  const { label, ports, unsupported } = find(services, home, name);
  if (unsupported !== undefined) throw tunnelError("TUNNEL_UNSUPPORTED", `${label} can't be reached: ${unsupported}`);
  // Of two that have a number in common, the TCP one is meant.
  const tcpFirst = [...ports].sort((a, b) => Number(b.protocol === "TCP") - Number(a.protocol === "TCP"));
  const found = port === undefined ? onlyOf(ports) : tcpFirst.find((each) => each.port === Number(port) || each.name === port);
  if (!found) {
    const what = port === undefined ? `${label} has ${ports.length} ports, and none was named` : `${label} has no port ${port}`;
    throw tunnelError("TUNNEL_PORT_UNKNOWN", what, { hint: `it has ${ports.map(describe).join(", ") || "no ports"}` });
  }
  if (found.address !== undefined) return found.address;
  if (found.reason !== undefined)
    throw tunnelError("TUNNEL_UNSUPPORTED", `${label}:${describe(found)} can't be reached: ${found.reason}`);
  throw tunnelError("TUNNEL_PORT_FAILED", `${label}:${describe(found)} has no listener`, {
    cause: found.error,
    hint: found.error?.message ?? "it is being opened",
  });
}

function find(
  services: ReadonlyMap<string, TunneledService>,
  home: string,
  name: string,
): { label: string; ports: readonly TunneledPort[]; unsupported?: string | undefined } {
  const key = serviceKey(name, home);
  // As the cluster's DNS would look: a pod's name in the home namespace first, then a service's, then a pod's elsewhere.
  const [first = "", second, third = home] = name.replace(/\.svc(\.cluster\.local)?\.?$/, "").split(".");
  const pod = services.get(`${third}/${second}`)?.pods.find(({ hostname }) => hostname === first);
  if (pod) return { label: name, ports: pod.ports };
  const service = services.get(key) ?? services.get(`${OUTSIDE}/${name}`);
  if (service) return { label: key, ports: service.ports, unsupported: service.unsupported };
  const there = [...services.keys()].sort();
  throw tunnelError("TUNNEL_SERVICE_UNKNOWN", `${key} is not among the services of this tunnel`, {
    hint: there.length > 0 ? `there are ${there.slice(0, 20).join(", ")}${there.length > 20 ? " and more" : ""}` : "it has none",
    details: { services: there },
  });
}

function onlyOf(ports: readonly TunneledPort[]): TunneledPort | undefined {
  const reachable = ports.filter(({ state }) => state !== "unsupported");
  const tcp = reachable.filter(({ protocol }) => protocol === "TCP");
  const choice = tcp.length > 0 ? tcp : reachable;
  return choice.length === 1 ? choice[0] : undefined;
}

const describe = ({ port, name, protocol }: TunneledPort): string =>
  `${port}${name ? ` (${name})` : ""}${protocol === "TCP" ? "" : `/${protocol}`}`;
