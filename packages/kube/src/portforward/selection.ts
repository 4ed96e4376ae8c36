import type { Logger, PodRef } from "@shipside/core";
import { codeOf } from "@shipside/core";
import type { CarrierFactory, CarrierKind, Upgrade } from "./carrier.ts";
import { portForwardError } from "./errors.ts";
import { createRawCarrier } from "./raw-carrier.ts";

export interface SelectorOptions {
  upgrade: Upgrade;
  carriers: readonly CarrierKind[];
  logger: Logger;
}

/** Finds out, once, which carrier the way to this cluster lets through. */
export interface Selector {
  readonly chosen: CarrierKind | undefined;
  /** Rejects with DIAL_GONE or DIAL_FAILED. */
  connect(pod: PodRef, signal: AbortSignal): Promise<CarrierFactory>;
}

export function createSelector(options: SelectorOptions): Selector {
  let chosen: CarrierKind | undefined;
  return {
    get chosen() {
      return chosen;
    },
    async connect(pod, signal) {
      try {
        const upgraded = await options.upgrade({
          method: "POST",
          path: portForwardPath(pod),
          headers: { Connection: "Upgrade", Upgrade: "SPDY/3.1", "X-Stream-Protocol-Version": "portforward.k8s.io" },
          signal,
        });
        chosen = "spdy";
        return createRawCarrier(upgraded);
      } catch (error) {
        throw dialError(error, pod);
      }
    },
  };
}

const portForwardPath = (pod: PodRef): string =>
  `/api/v1/namespaces/${encodeURIComponent(pod.namespace)}/pods/${encodeURIComponent(pod.name)}/portforward`;

const dialError = (error: unknown, pod: PodRef): Error => {
  const { details, hint, message } = error as { details?: { status?: number }; hint?: string; message?: string };
  const label = `pod ${pod.namespace}/${pod.name}`;
  if (codeOf(error) === "PORTFORWARD_CLOSED") return error as Error;
  if (details?.status === 404) return portForwardError("DIAL_GONE", `${label} does not exist`, { cause: error });
  return portForwardError("DIAL_FAILED", `could not open a port-forward connection to ${label}: ${message}`, {
    cause: error,
    ...(hint && { hint }),
  });
};
