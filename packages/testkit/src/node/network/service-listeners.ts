import type { Socket } from "node:net";
import type { ServiceRoute } from "./endpoints.ts";
import { createTcpPort } from "./service-tcp.ts";
import { createUdpPort } from "./service-udp.ts";

export interface ServiceListeners {
  /** Sets what an address serves; an empty list takes it away. Resolves when it is so; ports that can't be bound are told by name. */
  set(address: string, routes: readonly ServiceRoute[]): Promise<string[]>;
  close(): Promise<void>;
}

/** One port of a service's address, listened on. */
export interface ServicePort {
  /** Where it leads from now on. */
  route: ServiceRoute;
  /** Rejects where it can't be bound. */
  listen(address: string): Promise<void>;
  /** Takes nothing new. What is open stays where the protocol has it stay. */
  stop(): Promise<void>;
  /** Cuts what is open. */
  cut(): void;
}

export interface ServiceListenersOptions {
  /** Gets the connections of routes that are served elsewhere. */
  handOver?(client: Socket): void;
  /** How long a client of a UDP port keeps its backend without a datagram either way, in ms. Default 30,000, as Linux's conntrack has it. */
  udpIdleMs?: number;
}

/**
 * The userspace kube-proxy: listens on services' addresses and passes each connection, and each client's datagrams, to one of the
 * backends. A port without a backend isn't listened on, so that connecting is refused.
 */
export function createServiceListeners({ handOver, udpIdleMs = 30_000 }: ServiceListenersOptions = {}): ServiceListeners {
  const ports = new Map<string, ServicePort>();
  const keyOf = (address: string, { protocol, port }: ServiceRoute): string => `${address}:${port}/${protocol}`;

  const stop = async (key: string): Promise<void> => {
    const port = ports.get(key);
    ports.delete(key);
    await port?.stop();
  };

  const listen = async (address: string, route: ServiceRoute): Promise<string | undefined> => {
    const key = keyOf(address, route);
    const existing = ports.get(key);
    if (existing) {
      existing.route = route;
      return undefined;
    }
    const port = route.protocol === "UDP" ? createUdpPort(route, udpIdleMs) : createTcpPort(route, handOver);
    ports.set(key, port);
    try {
      await port.listen(address);
    } catch (error) {
      if (ports.get(key) === port) ports.delete(key);
      return `${key}: ${(error as Error).message}`;
    }
    return undefined;
  };

  return {
    async set(address, routes) {
      const wanted = routes.filter(
        ({ protocol, backends, handOver }) => (protocol === "TCP" && handOver) || (KNOWN.has(protocol) && backends.length > 0),
      );
      const keys = new Set(wanted.map((route) => keyOf(address, route)));
      for (const key of [...ports.keys()]) if (key.startsWith(`${address}:`) && !keys.has(key)) await stop(key);
      const failures = await Promise.all(wanted.map((route) => listen(address, route)));
      return failures.filter((failure) => failure !== undefined);
    },
    async close() {
      const all = [...ports.values()];
      await Promise.all([...ports.keys()].map(stop));
      for (const port of all) port.cut();
    },
  };
}

const KNOWN = new Set(["TCP", "UDP"]);
