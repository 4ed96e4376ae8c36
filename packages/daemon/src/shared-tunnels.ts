import type { Plugin } from "@shipside/core";
import type { ServiceRules, Tunnel } from "@shipside/tunnel";
import { type SessionTunnel, sessionTunnel } from "./session-tunnel.ts";
import { createShared, type Held } from "./shared.ts";

/** Tunnels that sessions share: each serves what any of its holders wants. */
export interface SharedTunnels {
  /**
   * The tunnel of `key`, opened with `open` or shared. The plugin that `open` is given admits what the holders' rules admit together, and
   * must be among the tunnel's.
   */
  acquire(
    key: string,
    rules: ServiceRules,
    open: (wanted: Plugin, signal: AbortSignal) => Promise<Tunnel>,
    signal: AbortSignal,
  ): Promise<Held<SessionTunnel>>;
}

export function sharedTunnels(): SharedTunnels {
  const tunnels = createShared<Tunnel>();
  const wishes = new Map<string, Set<ServiceRules>>();
  return {
    async acquire(key, rules, open, signal) {
      const wanted = wishes.get(key) ?? new Set();
      wishes.set(key, wanted);
      // Before it is opened, so that an opening serves it at once. One object may be the wish of several: each has a copy.
      const wish = { ...rules };
      wanted.add(wish);
      const forget = (): void => {
        wanted.delete(wish);
        if (wanted.size === 0 && wishes.get(key) === wanted) wishes.delete(key);
      };
      const plugin: Plugin = {
        name: "sessions",
        serviceSelectors: [(service) => [...(wishes.get(key) ?? [])].some(({ admits }) => admits(service))],
      };
      let held: Held<Tunnel> | undefined;
      try {
        held = await tunnels.acquire(key, (unwanted) => open(plugin, unwanted), signal);
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
