import type { Logger } from "@shipside/core";
import type { Store } from "../../store.ts";
import type { ApiServerFacts } from "../node-context.ts";
import { openFake } from "./fake.ts";
import { openLoopback } from "./loopback.ts";
import { openNamespaces } from "./namespaces.ts";
import type { NetworkMode, PodNetwork } from "./network.ts";

export interface NetworkRequest {
  wanted: NetworkMode | "auto";
  store: Store;
  directory: string;
  /** The directory goes with the node, also when this process is killed. */
  temporary: boolean;
  apiServer: ApiServerFacts | undefined;
  logger: Logger;
}

/** The network that was asked for, or the best that this machine lets us have; `reason` says why it isn't better. */
export async function openNetwork(request: NetworkRequest): Promise<{ network: PodNetwork; reason?: string }> {
  if (request.wanted === "fake") return { network: openFake() };
  if (request.wanted === "loopback") return { network: await openLoopback(request) };
  try {
    return { network: await openNamespaces(request) };
  } catch (error) {
    if (request.wanted === "namespaces") throw error;
    const reason = (error as Error).message;
    request.logger.info("pods share this machine's network", { reason });
    return { network: await openLoopback(request), reason };
  }
}
