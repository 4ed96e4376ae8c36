import { setTimeout as sleep } from "node:timers/promises";
import { hasCode } from "@shipside/core";
import { type Cluster, isReady, SERVICES } from "@shipside/kube";
import { CONTROL_PATHS, type DeployedRelay, findRelay, openRelayLink, type RelayStatus } from "@shipside/relay";
import { proxyError } from "./errors.ts";
import { readRecord } from "./service-patch.ts";
import { restoreService } from "./switch.ts";

/** All that ending an intercept needs, as it is known before it begins: for a record on disk. */
export interface InterceptTrace {
  namespace: string;
  service: string;
  /** The Service's. */
  uid: string;
  /** The relay's Deployment. */
  relay: string;
  /** Our lease's id. */
  lease: string;
}

/** Until a relay that was asked to end is taken to need help, in ms: its connections have that long to come to their end. */
const DRAIN_MS = 10_000;
const ASK_MS = 3_000;

/**
 * Removes a relay: asks it to end, so that what it carries comes to its end first, and deletes what is left of it then. Everything of its
 * goes with its Deployment.
 */
export async function endRelay(
  relay: DeployedRelay,
  askToEnd: () => Promise<boolean>,
  isGone: () => Promise<boolean>,
): Promise<void> {
  if (relay.selfRemoving && (await askToEnd())) {
    for (const limit = performance.now() + DRAIN_MS; performance.now() < limit; await sleep(200)) if (await isGone()) return;
  }
  await relay.remove();
}

/** Whether some lease of a relay is another's. */
export const othersLease = (statuses: readonly RelayStatus[], lease: string): boolean =>
  statuses.some(({ leases }) => leases.some(({ id }) => id !== lease));

/** Whether a Deployment of that name and uid is no longer there. */
export async function relayGone(cluster: Cluster, { namespace, name, uid }: DeployedRelay): Promise<boolean> {
  const found = await findRelay(cluster, { namespace, name }).catch(() => ({ uid }));
  return found?.uid !== uid;
}

/**
 * Ends an intercept whose process is gone: takes its lease off, and where it was the last one puts the Service back and removes the relay.
 * Idempotent. Resolves to false where others go on using the relay. Rejects with `PROXY_RELAY_SILENT`, and changes nothing, where the relay
 * runs and doesn't say whether they do.
 */
export async function endIntercept(cluster: Cluster, trace: InterceptTrace, signal: AbortSignal): Promise<boolean> {
  const { namespace, service: name, uid, lease } = trace;
  const ref = { namespace, name, uid };
  const relay = await findRelay(cluster, { namespace, name: trace.relay }, { signal });
  const pods = relay ? await relay.pods({ signal }) : [];
  let silence: Error | undefined;
  const links = pods.map((pod) =>
    openRelayLink({
      open: (until) => relay!.openControl(pod.metadata.name, { signal: until }),
      secret: relay!.secret,
      onState: (_linked, error) => {
        silence = error;
      },
      signal,
    }),
  );
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_MS)]);
    const ask = async (method: string, path: string): Promise<unknown[]> => {
      const answers = await Promise.allSettled(links.map((link) => link.request(method, path, undefined, { signal: limit })));
      return answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
    };
    await ask("DELETE", CONTROL_PATHS.leases + lease);
    const statuses = (await ask("GET", CONTROL_PATHS.status)) as RelayStatus[];
    if (statuses.length === 0 && pods.some(isReady)) {
      throw proxyError("PROXY_RELAY_SILENT", `${namespace}/${trace.relay} runs and doesn't say whether others use it`, {
        ...(silence && { cause: silence }),
        hint: "try again; if nobody else intercepts this Service, delete the relay's Deployment and put the Service's selector back",
      });
    }
    if (othersLease(statuses, lease)) return false;
    const service = await cluster.get(SERVICES, ref, { signal }).catch((error: unknown) => {
      if (hasCode(error, "KUBE_NOT_FOUND")) return undefined;
      throw error;
    });
    const record = service && readRecord(service.metadata);
    if (record?.relay === trace.relay) await restoreService(cluster, ref, record, signal);
    if (!relay) return true;
    await endRelay(
      relay,
      async () => (await ask("POST", CONTROL_PATHS.end)).length > 0,
      () => relayGone(cluster, relay),
    );
    return true;
  } finally {
    await Promise.all(links.map((link) => link.close()));
  }
}
