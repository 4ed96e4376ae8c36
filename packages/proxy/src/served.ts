import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "@shipside/core";
import { type Cluster, ENDPOINT_SLICES, PODS } from "@shipside/kube";
import { RELAY_LABEL } from "@shipside/relay";
import type { ServiceRef } from "./switch.ts";

/** For how long it is looked whether the cluster has seen the switch. */
const SEEN_MS = 10_000;

/** Resolves when the Service's endpoints are the relay's pods alone. Where they may not be read, at once. */
export async function untilServed(
  cluster: Cluster,
  { namespace, name }: ServiceRef,
  relay: string,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(SEEN_MS)]);
  try {
    for (;;) {
      const [slices, pods] = await Promise.all([
        cluster.list(ENDPOINT_SLICES, { namespace, labelSelector: `kubernetes.io/service-name=${name}`, signal: limit }),
        cluster.list(PODS, { namespace, labelSelector: `${RELAY_LABEL}=${relay}`, signal: limit }),
      ]);
      const ours = new Set(pods.map(({ metadata }) => metadata.name));
      const ready = slices.flatMap(({ endpoints }) => endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
      if (ready.length > 0 && ready.every(({ targetRef }) => ours.has(targetRef?.name ?? ""))) return;
      await sleep(100, undefined, { signal: limit });
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!limit.aborted && !hasCode(error, "KUBE_FORBIDDEN")) throw error;
  }
}
