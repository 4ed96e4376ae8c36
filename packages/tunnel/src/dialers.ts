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

/** The plugins' dialers, asked in order, and the built-in one for what none of them handles. */
export interface Dialers extends Closable {
  /** A plugin's dialer takes care of the target. */
  handles(target: Target): boolean;
  dial(target: Target, endpoint: Endpoint, signal: AbortSignal): Promise<Duplex>;
}

export function dialersFor(plugins: readonly Plugin[], cluster: Cluster, logger: Logger): Dialers {
  const closer = createCloser();
  const components = { logger, portForward: cluster.portForward.bind(cluster) };
  const factories = plugins.flatMap((plugin) => (plugin.dialers ?? []).map((factory) => ({ plugin: plugin.name, factory })));
  const made = new Map<DialerFactory, Dialer>();
  const builtIn = closer.use(podDialer(components));

  const factoryFor = (target: Target): DialerFactory | undefined =>
    factories.find(({ plugin, factory }) => {
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

  return {
    handles: (target) => factoryFor(target) !== undefined,
    async dial(target, endpoint, signal) {
      const factory = factoryFor(target);
      const dialer = factory ? make(factory) : builtIn;
      return dialer.dial({ target, endpoint, signal });
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
