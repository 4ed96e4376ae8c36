import type { Target } from "@shipside/core";
import type { ServicePort } from "@shipside/kube";
import { type Candidate, endpointsOf, targetNumbers } from "./endpoints.ts";
import { OUTSIDE } from "./outside.ts";
import type { ServiceView } from "./services.ts";

/** A port that a front should have. */
export interface PlannedPort {
  target: Target;
  candidates: Candidate[];
  /** Why no listener can serve it. */
  unsupported?: string;
}

/** What gets an address: the service, and where it is headless each of its pods that has a hostname. */
export interface PlannedFront {
  hostname?: string;
  ports: PlannedPort[];
}

export interface Plan {
  /** The service's own comes first. */
  fronts: PlannedFront[];
  /** Why the service as a whole can't be reached. */
  unsupported?: string;
}

export interface PlanOptions {
  /** A plugin's dialer takes care of the target, where port-forward can't. */
  handles(target: Target): boolean;
  /** Pods that have a front although no slice lists them. */
  hostnames?: Iterable<string>;
  /** Clients use the ports as they are in the cluster: false where they ask for an address (`bind: "local"`). */
  ownPorts: boolean;
}

/** What a service needs on this machine, from what is known of it now. Pure. */
export function planOf({ service, slices }: ServiceView, options: PlanOptions): Plan {
  const { metadata, spec } = service;
  const namespace = metadata.namespace ?? "default";
  const headless = spec.clusterIP === "None";
  const external = spec.type === "ExternalName";

  const planPort = (port: ServicePort, number: number, hostname?: string): PlannedPort => {
    const protocol = port.protocol ?? "TCP";
    const target: Target = {
      namespace,
      service: metadata.name,
      port: number,
      ...(port.name && { portName: port.name }),
      protocol: protocol as Target["protocol"],
      ...(hostname !== undefined && { hostname }),
    };
    const handled = protocol !== "SCTP" && options.handles(target);
    if (protocol !== "TCP" && !handled) {
      return { target, candidates: [], unsupported: `${protocol} can't be carried over port-forward` };
    }
    if (external) {
      const candidate = {
        key: `name ${spec.externalName}`,
        address: spec.externalName ?? "",
        port: number,
        ready: true,
        draining: false,
      };
      if (handled) return { target, candidates: [candidate] };
      return {
        target,
        candidates: [],
        unsupported:
          namespace === OUTSIDE
            ? "only the cluster can reach it, and nothing dials from there"
            : `it stands for ${spec.externalName}, which is outside the cluster (ExternalName)`,
      };
    }
    const all = endpointsOf(slices, port).filter((candidate) => hostname === undefined || candidate.hostname === hostname);
    const pods = handled ? all : all.filter((candidate) => candidate.pod);
    if (all.length > 0 && pods.length === 0) {
      return {
        target,
        candidates: [],
        unsupported: `its endpoints (${someOf(all)}) are no pods, and port-forward reaches pods only`,
      };
    }
    return { target, candidates: pods };
  };

  /** A headless service's name stands for its pods' addresses, so clients use the target port: it is served beside the service's own. */
  const planPorts = (hostname?: string): PlannedPort[] => {
    const declared = spec.ports ?? [];
    const planned = declared.map((port) => planPort(port, port.port, hostname));
    if (!headless || !options.ownPorts) return planned;
    const used = new Set(declared.filter(isTcp).map(({ port }) => port));
    for (const port of declared.filter(isTcp)) {
      for (const number of targetNumbers(endpointsOf(slices, port))) {
        if (used.has(number)) continue;
        used.add(number);
        const { target, candidates, unsupported } = planPort(port, number, hostname);
        const same = candidates.filter((candidate) => candidate.port === number);
        planned.push({ target, candidates: same, ...(unsupported !== undefined && { unsupported }) });
      }
    }
    return planned;
  };

  const ports = planPorts();
  const fronts: PlannedFront[] = [{ ports }];
  if (headless) {
    const hostnames = new Set([...hostnamesOf({ service, slices }), ...(options.hostnames ?? [])]);
    for (const hostname of [...hostnames].sort()) fronts.push({ hostname, ports: planPorts(hostname) });
  }
  const reasons = new Set(ports.map((port) => port.unsupported));
  const unsupported =
    ports.length === 0 && external
      ? `it stands for ${spec.externalName}, which is outside the cluster (ExternalName)`
      : reasons.size === 1
        ? [...reasons][0]
        : undefined;
  return { fronts, ...(unsupported !== undefined && { unsupported }) };
}

/** The pods of a headless service that have names of their own. */
export function hostnamesOf({ service, slices }: ServiceView): Set<string> {
  if (service.spec.clusterIP !== "None") return new Set();
  return new Set(
    slices.flatMap(({ endpoints }) => (endpoints ?? []).flatMap(({ hostname, targetRef }) => (targetRef && hostname) || [])),
  );
}

const isTcp = (port: ServicePort): boolean => (port.protocol ?? "TCP") === "TCP";

function someOf(candidates: readonly Candidate[]): string {
  const shown = candidates.slice(0, 2).map(({ address }) => address);
  return candidates.length > 2 ? `${shown.join(", ")} and ${candidates.length - 2} more` : shown.join(", ");
}
