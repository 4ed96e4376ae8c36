import { connect, createServer, type Server, type Socket } from "node:net";
import type { Backend, ServiceRoute } from "./endpoints.ts";

export interface ServiceListeners {
  /** Sets what an address serves; an empty list takes it away. Resolves when it is so; ports that can't be bound are told by name. */
  set(address: string, routes: readonly ServiceRoute[]): Promise<string[]>;
  close(): Promise<void>;
}

/**
 * The userspace kube-proxy: listens on services' addresses and passes each connection to one of the backends, in turn. A port without
 * a backend isn't listened on, so that connecting is refused. `handOver` gets the connections of
 * routes that are served elsewhere.
 */
export function createServiceListeners(options: { handOver?: (client: Socket) => void } = {}): ServiceListeners {
  const entries = new Map<
    string,
    { server: Server; sockets: Set<Socket>; route: ServiceRoute; next: number; sticky: Map<string, [Backend, number]> }
  >();

  const choose = (key: string, client: string): Backend[] => {
    const entry = entries.get(key);
    if (!entry) return [];
    const { backends, affinityMs } = entry.route;
    const at = entry.next++ % Math.max(1, backends.length);
    const order = [...backends.slice(at), ...backends.slice(0, at)];
    if (affinityMs === 0 || order.length === 0) return order;
    const held = entry.sticky.get(client);
    const same =
      held && Date.now() - held[1] < affinityMs ? order.find((b) => b.ip === held[0].ip && b.port === held[0].port) : undefined;
    const backend = same ?? order[0]!;
    entry.sticky.set(client, [backend, Date.now()]);
    return [backend, ...order.filter((b) => b !== backend)];
  };

  const serve = (key: string, client: Socket): void => {
    if (options.handOver && entries.get(key)?.route.handOver) {
      options.handOver(client);
      return;
    }
    client.on("error", () => client.destroy());
    const entry = entries.get(key);
    entry?.sockets.add(client);
    client.once("close", () => entry?.sockets.delete(client));
    const attempt = ([backend, ...others]: Backend[]): void => {
      if (!backend) return void client.resetAndDestroy();
      const upstream = dial(backend);
      const failed = (): void => attempt(others);
      upstream.once("error", failed);
      upstream.once("connect", () => {
        upstream.off("error", failed);
        join(client, upstream);
      });
    };
    attempt(choose(key, client.remoteAddress ?? ""));
  };

  const stop = async (key: string): Promise<void> => {
    const entry = entries.get(key);
    if (!entry) return;
    entries.delete(key);
    // Connections that are open stay, as through conntrack; they end when one of their ends does.
    await new Promise<void>((resolve) => {
      entry.server.close(() => resolve());
      setImmediate(resolve);
    });
  };

  const listen = async (address: string, route: ServiceRoute): Promise<string | undefined> => {
    const key = `${address}:${route.port}`;
    const existing = entries.get(key);
    if (existing) {
      existing.route = route;
      return undefined;
    }
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (client) => serve(key, client));
    const sockets = new Set<Socket>();
    const entry = { server, sockets, route, next: 0, sticky: new Map<string, [Backend, number]>() };
    entries.set(key, entry);
    return new Promise((resolve) => {
      server.once("error", (error) => {
        if (entries.get(key) === entry) entries.delete(key);
        resolve(`${key}: ${error.message}`);
      });
      server.listen(route.port, address, () => resolve(undefined));
    });
  };

  return {
    async set(address, routes) {
      const wanted = routes.filter((route) => route.protocol === "TCP" && (route.handOver || route.backends.length > 0));
      const keys = new Set(wanted.map((route) => `${address}:${route.port}`));
      for (const key of [...entries.keys()]) if (key.startsWith(`${address}:`) && !keys.has(key)) await stop(key);
      const failures = await Promise.all(wanted.map((route) => listen(address, route)));
      return failures.filter((failure) => failure !== undefined);
    },
    async close() {
      const all = [...entries.values()];
      await Promise.all([...entries.keys()].map(stop));
      for (const { sockets } of all) for (const socket of sockets) socket.destroy();
    },
  };
}

function dial({ ip, port }: Backend): Socket {
  return connect({ host: ip, port, allowHalfOpen: true, noDelay: true });
}

/** Bytes, half-closes and resets both ways. The agents import no other package, so core's `splice` is not at hand here. */
function join(a: Socket, b: Socket): void {
  const oneWay = (from: Socket, to: Socket): void => {
    from.on("error", () => to.resetAndDestroy());
    from.on("close", () => {
      if (!from.readableEnded) to.destroy();
    });
    from.pipe(to);
  };
  oneWay(a, b);
  oneWay(b, a);
}
