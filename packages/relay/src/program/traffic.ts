import { type Closable, createCloser, type Logger } from "@shipside/core";
import type { RelayConfig, RelayStatus } from "../protocol.ts";
import { startAccept } from "./accept.ts";
import { createControl } from "./control.ts";
import { createDevelopers } from "./developers.ts";
import { type ENDING, watchEnding } from "./ending.ts";
import type { KubeApi } from "./kube-api.ts";
import { createLeases } from "./lease.ts";
import type { LinkHandlers } from "./link.ts";

export interface TrafficOptions {
  config: RelayConfig;
  api: KubeApi | undefined;
  /** Address to take traffic on. Default: every one. */
  host?: string | undefined;
  /** This pod's name. */
  pod: string;
  version: string;
  logger: Logger;
  timing?: Partial<typeof ENDING>;
}

/** A relay that takes traffic of the cluster's: what its links are to be served with, and how it ends. */
export interface Traffic extends Closable, Required<Pick<LinkHandlers, "onRequest" | "onAccept">> {
  status(): RelayStatus;
  /** The pod is to go; resolves when its connections have. */
  terminate(): Promise<void>;
}

export async function startTraffic(options: TrafficOptions): Promise<Traffic> {
  const { config, api, host, pod, version, logger, timing = {} } = options;
  const closer = createCloser();
  const leases = closer.use(createLeases({ accept: config.accept, logger }));
  const developers = createDevelopers({ leases });
  const accept = closer.use(await startAccept({ config, leases, developers, logger, ...(host !== undefined && { host }) }));
  const ending = closer.use(watchEnding({ config, api, leases, accept, pod, logger, timing }));
  const status = (): RelayStatus => ({
    ...{ name: config.name, pod, version, ready: true, leases: leases.list(), connections: accept.connections },
  });
  return {
    onRequest: createControl({ leases, status, checkTls: accept.checkTls, end: () => void ending.end("asked to") }),
    onAccept: (client, session) => developers.attach(client, session),
    status,
    terminate: () => ending.terminate(),
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
