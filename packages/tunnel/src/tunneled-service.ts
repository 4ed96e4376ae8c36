import type { ListenerFactory, ServiceFacts, Target } from "@shipside/core";
import { clusterAddress, secondaryAddress } from "./cluster-address.ts";
import type { Unsupported } from "./events.ts";
import { hostnamesOf, type Plan, type PlannedFront, type PlannedPort, planOf } from "./plan.ts";
import type { Port, TunneledPort } from "./port.ts";
import { factsOf, type ServiceView } from "./services.ts";

/** A pod of a headless service that has a name of its own. */
export interface TunneledPod {
  readonly hostname: string;
  /** Undefined where it could get none. */
  readonly address: string | undefined;
  readonly ports: readonly TunneledPort[];
}

/** A service as it is on this machine. Its values are current whenever they are read. */
export interface TunneledService {
  readonly namespace: string;
  readonly name: string;
  readonly facts: ServiceFacts;
  /** The IP that its names stand for. Undefined where it is unsupported, or the pool has none left. */
  readonly address: string | undefined;
  /** With `bind: "cluster"`: the other ClusterIP of a dual-stack service, where its ports listen there too. */
  readonly secondaryAddress: string | undefined;
  /** Why no port of it can be reached. */
  readonly unsupported: string | undefined;
  readonly ports: readonly TunneledPort[];
  /** Empty unless it is headless. */
  readonly pods: readonly TunneledPod[];
}

/** The side that the tunnel turns. */
export interface ServiceTunnel {
  readonly service: TunneledService;
  /** Takes in what is known now. Endpoints count at once; listeners follow, and the promise says when they have. */
  update(view: ServiceView): Promise<void>;
  /** Tries again what failed. */
  retry(): Promise<void>;
  readonly hasFailures: boolean;
  /** Stops accepting. */
  close(): Promise<void>;
}

export interface ServiceTunnelComponents {
  bind: "pool" | "local" | "cluster";
  listeners: ListenerFactory;
  /**
   * How long a pod of a headless service keeps its name and its listeners when no slice lists it, in ms: a StatefulSet's comes back under
   * the same name, and connections are held for it meanwhile.
   */
  lingerMs: number;
  handles(target: Target): boolean;
  /** The address of a service or a pod. Rejects with `POOL_EXHAUSTED` and so on. */
  addressOf(namespace: string, name: string, hostname: string | undefined): Promise<string>;
  createPort(target: Target): Port;
  onPort(event: "port-opened" | "port-closed" | "port-failed", service: TunneledService, port: Port): void;
  onUnsupported(what: Unsupported): void;
  onNames(): void;
  /** What shouldn't have failed has, where nobody waits for it. */
  onBlunder(error: unknown): void;
}

interface Front {
  address: string | undefined;
  ports: Map<string, Port>;
}

/** sessionAffinityConfig.clientIP.timeoutSeconds' default (core/v1). */
const AFFINITY_SECONDS = 10_800;

/**
 * Keeps a service's listeners as its plan wants them. `after` is what must be over first: the closing of a service of the same name,
 * which may hold the same ports.
 */
export function createServiceTunnel(first: ServiceView, components: ServiceTunnelComponents, after: Promise<void>): ServiceTunnel {
  const { bind, listeners } = components;
  const fronts = new Map<string, Front>([["", { address: undefined, ports: new Map() }]]);
  const told = new Set<string>();
  let view = first;
  let plan: Plan = { fronts: [] };
  let secondary: string | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let closed: Promise<void> | undefined;
  let present = new Set<string>();
  /** Pods that are no longer listed, and until when they are kept. */
  const lingering = new Map<string, number>();
  let lingerTimer: NodeJS.Timeout | undefined;

  const service: TunneledService = {
    namespace: first.service.metadata.namespace ?? "default",
    name: first.service.metadata.name,
    get facts() {
      return factsOf(view.service);
    },
    get address() {
      return fronts.get("")?.address;
    },
    get secondaryAddress() {
      return secondary;
    },
    get unsupported() {
      return plan.unsupported;
    },
    get ports() {
      return [...(fronts.get("")?.ports.values() ?? [])];
    },
    get pods() {
      return [...fronts].flatMap(([hostname, { address, ports }]) =>
        hostname ? { hostname, address, ports: [...ports.values()] } : [],
      );
    },
  };

  const ownAddress = (hostname: string): string | undefined =>
    bind === "cluster" ? clusterAddress(view, hostname || undefined) : undefined;

  const affinityMs = (): number | undefined => {
    const { sessionAffinity, sessionAffinityConfig } = view.service.spec;
    return sessionAffinity === "ClientIP"
      ? (sessionAffinityConfig?.clientIP?.timeoutSeconds ?? AFFINITY_SECONDS) * 1000
      : undefined;
  };

  const eachPort = function* (): Generator<[PlannedFront, PlannedPort, Port]> {
    for (const front of plan.fronts) {
      for (const planned of front.ports) {
        const port = fronts.get(front.hostname ?? "")?.ports.get(portKey(planned.target));
        if (port) yield [front, planned, port];
      }
    }
  };

  const say = (port: number | undefined, protocol: string | undefined, reason: string): void => {
    const key = `${port} ${protocol} ${reason}`;
    if (told.has(key)) return;
    told.add(key);
    const { namespace, name } = service;
    components.onUnsupported({ namespace, service: name, ...(port && { port }), ...(protocol && { protocol }), reason });
  };

  const closePort = async (front: Front, key: string, port: Port): Promise<void> => {
    front.ports.delete(key);
    const listened = port.address !== undefined;
    await port.close();
    if (listened) components.onPort("port-closed", service, port);
  };

  /** Ports that are no longer wanted go; those that are new come, not yet listening. */
  const settle = async (): Promise<void> => {
    const wanted = new Map(plan.fronts.map((front) => [front.hostname ?? "", front]));
    for (const [hostname, front] of fronts) {
      const now = ownAddress(hostname);
      if (now === undefined || front.address === undefined || now === front.address) continue;
      // A pod that was made anew has another.
      for (const [key, port] of [...front.ports]) await closePort(front, key, port);
      front.address = undefined;
    }
    for (const [hostname, front] of [...fronts]) {
      if (hostname !== "" && !wanted.has(hostname)) {
        // The name first: who looks it up shall not meet a closed port.
        fronts.delete(hostname);
        components.onNames();
      }
      const keys = new Map(wanted.get(hostname)?.ports.map((port) => [portKey(port.target), port]));
      for (const [key, port] of [...front.ports]) {
        if (!keys.has(key) || (keys.get(key)?.unsupported && port.address !== undefined)) await closePort(front, key, port);
      }
    }
    for (const [hostname, planned] of wanted) {
      const front = fronts.get(hostname) ?? { address: undefined, ports: new Map() };
      fronts.set(hostname, front);
      for (const { target } of planned.ports) {
        const key = portKey(target);
        if (!front.ports.has(key)) front.ports.set(key, components.createPort(target));
      }
    }
    feed();
  };

  const feed = (): void => {
    for (const [, planned, port] of eachPort()) {
      port.support(planned.unsupported);
      port.update(planned.candidates, affinityMs());
      if (planned.unsupported !== undefined && plan.unsupported === undefined) say(port.port, port.protocol, planned.unsupported);
    }
    if (plan.unsupported !== undefined) say(undefined, undefined, plan.unsupported);
  };

  const open = async (hostname: string, front: Front): Promise<void> => {
    const ports = [...front.ports.values()].filter(({ state }) => state === "opening" || state === "failed");
    if (ports.length === 0 || closed) return;
    if (front.address === undefined) {
      try {
        front.address =
          ownAddress(hostname) ?? (await components.addressOf(service.namespace, service.name, hostname || undefined));
        components.onNames();
      } catch (error) {
        for (const port of ports) failed(port, error as Error);
        return;
      }
    }
    const address = front.address;
    await Promise.all(
      ports.map(async (port) => {
        const before = port.error;
        await port.listen(listeners, address, bind === "local" ? 0 : port.port);
        if (port.state === "listening") components.onPort("port-opened", service, port);
        else if (port.error?.message !== before?.message) components.onPort("port-failed", service, port);
      }),
    );
  };

  const failed = (port: Port, error: Error): void => {
    const news = port.error?.message !== error.message;
    port.fail(error);
    if (news) components.onPort("port-failed", service, port);
  };

  /** Where the other family can't be had, the service is there by its own address alone. */
  const openSecondary = async (): Promise<void> => {
    const address = bind === "cluster" ? secondaryAddress(view) : undefined;
    const before = secondary;
    if (closed || (address === undefined && before === undefined)) return;
    const ports = [...(fronts.get("")?.ports.values() ?? [])];
    const done = await Promise.all(ports.map((port) => port.listenAlso(listeners, address)));
    secondary = done.includes(true) ? address : undefined;
    if (secondary !== before) components.onNames();
  };

  const reconcile = async (): Promise<void> => {
    await after;
    await settle();
    await Promise.all([...fronts].map(([hostname, front]) => open(hostname, front)));
    await openSecondary();
  };

  /** One at a time; what changes meanwhile is seen by one more round. */
  const refresh = (): Promise<void> => {
    again = true;
    running ??= (async () => {
      try {
        while (again && !closed) {
          again = false;
          await reconcile();
        }
      } finally {
        running = undefined;
      }
    })();
    return running;
  };

  const linger = (): void => {
    const now = performance.now();
    const current = hostnamesOf(view);
    for (const hostname of present) if (!current.has(hostname)) lingering.set(hostname, now + components.lingerMs);
    for (const [hostname, until] of lingering) if (current.has(hostname) || until <= now) lingering.delete(hostname);
    present = current;
    clearTimeout(lingerTimer);
    if (lingering.size > 0)
      lingerTimer = setTimeout(() => update(view).catch(components.onBlunder), Math.min(...lingering.values()) - now + 1).unref();
  };

  const update = (next: ServiceView): Promise<void> => {
    view = next;
    linger();
    plan = planOf(view, { handles: components.handles, ownPorts: bind !== "local", hostnames: lingering.keys() });
    feed();
    return refresh();
  };

  const close = async (): Promise<void> => {
    clearTimeout(lingerTimer);
    await running?.catch(() => {});
    for (const front of fronts.values()) {
      for (const [key, port] of [...front.ports]) await closePort(front, key, port);
    }
  };

  return {
    service,
    update,
    retry: refresh,
    get hasFailures() {
      return [...eachPort()].some(([, , port]) => port.state === "failed");
    },
    close: () => (closed ??= close()),
  };
}

const portKey = ({ port, portName = "", protocol }: Target): string => `${protocol}/${port}/${portName}`;
