import type { Duplex } from "node:stream";
import {
  type Closable,
  createCloser,
  type Dialer,
  type DialerFactory,
  type Endpoint,
  type Logger,
  type Plugin,
  type Target,
} from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import { podDialer } from "./pod-dialer.ts";

/** One attempt to dial, in ms, where the dialer says nothing else. */
const DIAL_MS = 5_000;

/** The plugins' dialers, asked in order, the built-in one for what none of them handles, and fallbacks for what that can't reach. */
export interface Dialers extends Closable {
  /** A plugin's dialer takes care of the target, where the built-in one can't reach it. */
  handles(target: Target): boolean;
  /** How long a dial may take, in ms. */
  dialMs(target: Target, endpoint: Endpoint): number;
  dial(target: Target, endpoint: Endpoint, signal: AbortSignal): Promise<Duplex>;
}

export function dialersFor(plugins: readonly Plugin[], cluster: Cluster, logger: Logger): Dialers {
  const closer = createCloser();
  const components = { logger, portForward: cluster.portForward.bind(cluster) };
  const factories = plugins.flatMap((plugin) => (plugin.dialers ?? []).map((factory) => ({ plugin: plugin.name, factory })));
  const made = new Map<DialerFactory, Dialer>();
  const builtIn = closer.use(podDialer(components));

  const factoryFor = (target: Target, fallback: boolean): DialerFactory | undefined =>
    factories.find(({ plugin, factory }) => {
      if ((factory.fallback ?? false) !== fallback || (target.protocol === "UDP" && !factory.datagrams)) return false;
      try {
        return factory.handles(target) === true;
      } catch (error) {
        logger.error(`dialer ${factory.name} of plugin ${plugin} threw when asked whether it handles a target`, {
          error: String(error),
        });
        return false;
      }
    })?.factory;

  const make = (factory: DialerFactory): Dialer => {
    const dialer = made.get(factory) ?? closer.use(factory.create(components));
    made.set(factory, dialer);
    return dialer;
  };

  const dialerFor = (target: Target, endpoint: Endpoint): Dialer => {
    const reachable = endpoint.pod !== undefined && target.protocol === "TCP";
    const factory = factoryFor(target, false) ?? (reachable ? undefined : factoryFor(target, true));
    return factory ? make(factory) : builtIn;
  };

  return {
    handles: (target) => (factoryFor(target, false) ?? factoryFor(target, true)) !== undefined,
    dialMs: (target, endpoint) => dialerFor(target, endpoint).dialMs ?? DIAL_MS,
    dial: async (target, endpoint, signal) => dialerFor(target, endpoint).dial({ target, endpoint, signal }),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
