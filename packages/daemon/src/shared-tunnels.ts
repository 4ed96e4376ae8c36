import type { Plugin } from "@shipside/core";
import type { ServiceRules, Tunnel, TunnelTap } from "@shipside/tunnel";
import { type SessionTunnel, sessionTunnel } from "./session-tunnel.ts";
import { createShared, type Held } from "./shared.ts";

/** Tunnels that sessions share: each serves what any of its holders wants. */
export interface SharedTunnels {
  /**
   * The tunnel of `key`, opened with `open` or shared. The plugin that `open` is given admits what the holders' rules admit together, and
   * must be among the tunnel's, and its tap the tunnel's. `look`: looks on at connections to what `rules` admit; of several that do, the first.
   */
  acquire(
    key: string,
    wish: { rules: ServiceRules; look?: TunnelTap | undefined },
    open: (wanted: { plugin: Plugin; tap: TunnelTap }, signal: AbortSignal) => Promise<Tunnel>,
    signal: AbortSignal,
  ): Promise<Held<SessionTunnel>>;
}

export function sharedTunnels(): SharedTunnels {
  const tunnels = createShared<Tunnel>();
  const wishes = new Map<string, Set<ServiceRules & { look: TunnelTap | undefined }>>();
  return {
    async acquire(key, { rules, look }, open, signal) {
      const wanted = wishes.get(key) ?? new Set();
      wishes.set(key, wanted);
      // Before it is opened, so that an opening serves it at once. One object may be the wish of several: each has a copy.
      const wish = { ...rules, look };
      wanted.add(wish);
      const forget = (): void => {
        wanted.delete(wish);
        if (wanted.size === 0 && wishes.get(key) === wanted) wishes.delete(key);
      };
      const plugin: Plugin = {
        name: "sessions",
        serviceSelectors: [(service) => [...(wishes.get(key) ?? [])].some(({ admits }) => admits(service))],
      };
      const opening = async (unwanted: AbortSignal): Promise<Tunnel> => {
        const tap: TunnelTap = (connection) => {
          const facts = opened.services.get(`${connection.namespace}/${connection.service}`)?.facts;
          const looking = [...(wishes.get(key) ?? [])].find((each) => each.look && (!facts || each.admits(facts)));
          return looking?.look?.(connection);
        };
        const opened = await open({ plugin, tap }, unwanted);
        return opened;
      };
      let held: Held<Tunnel> | undefined;
      try {
        held = await tunnels.acquire(key, opening, signal);
        await held.value.reselect();
        const { value: tunnel, release } = held;
        return {
          value: sessionTunnel(tunnel, rules),
          async release() {
            const others = wanted.delete(wish) && wanted.size > 0;
            forget();
            await release();
            if (others) await tunnel.reselect();
          },
        };
      } catch (error) {
        forget();
        await held?.release();
        throw error;
      }
    },
  };
}
