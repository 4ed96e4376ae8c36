import type { Backend, ServiceRoute } from "./endpoints.ts";

/** Picks backends of one port in turn, or where the service asks for it, the same one for a client for as long as it comes back in time. */
export interface BackendChoice {
  /** All of them, the one to be tried first first. */
  order(route: ServiceRoute, client: string, now?: number): Backend[];
}

export function createBackendChoice(): BackendChoice {
  const sticky = new Map<string, readonly [Backend, number]>();
  let next = 0;
  return {
    order({ backends, affinityMs }, client, now = Date.now()) {
      const at = next++ % Math.max(1, backends.length);
      const order = [...backends.slice(at), ...backends.slice(0, at)];
      if (affinityMs === 0 || order.length === 0) return order;
      const held = sticky.get(client);
      const same = held && now - held[1] < affinityMs ? order.find((backend) => isSame(backend, held[0])) : undefined;
      const first = same ?? order[0]!;
      sticky.set(client, [first, now]);
      return [first, ...order.filter((backend) => backend !== first)];
    },
  };
}

export const isSame = (one: Backend, other: Backend): boolean => one.ip === other.ip && one.port === other.port;
