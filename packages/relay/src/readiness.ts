import { abortError, hasCode } from "@shipside/core";
import { type Cluster, DEPLOYMENTS, isLive, isReady, PODS, type Pod, type PodController } from "@shipside/kube";
import { type RelayErrorCode, relayError } from "./errors.ts";
import { EVENTS } from "./kinds.ts";
import { RELAY_LABEL, relayPodSelector } from "./relay-names.ts";

export interface ReadinessRequest {
  namespace: string;
  name: string;
  /** The Deployment's. */
  uid: string;
  /** How many pods. */
  replicas: number;
  timeoutMs: number;
  signal: AbortSignal;
  /** The uid of a pod that is being replaced, which doesn't count. */
  besides?: string;
}

/**
 * How a container ended again and again, so that the kubelet starts it only after a pause: 10 s, 20 s and so on up to 5 min, until it has run
 * for 10 min. Undefined where none of the pod's waits so. Pure.
 */
export function crashLoop({ status }: Pod): string | undefined {
  const waits = status?.containerStatuses?.find(({ state }) => reasonOf(state?.["waiting"]) === "CrashLoopBackOff");
  if (!waits) return undefined;
  const last = waits.lastState?.["terminated"] as { reason?: string; exitCode?: number } | undefined;
  const how = last ? ` (${[last.reason, `exit code ${last.exitCode}`].filter(Boolean).join(", ")})` : "";
  return `it ends again and again${how}`;
}

const reasonOf = (state: unknown): string | undefined => (state as { reason?: string } | undefined)?.reason;

/** Why a relay won't get ready, as far as the cluster says; undefined while it may. Pure. */
export function hopeless(
  deployment: PodController | undefined,
  pods: readonly Pod[],
): { code: RelayErrorCode; why: string } | undefined {
  const conditions = (deployment?.status?.["conditions"] ?? []) as Array<{ type: string; status: string; message?: string }>;
  const failure = conditions.find(({ type, status }) => type === "ReplicaFailure" && status === "True");
  if (failure) {
    const why = failure.message ?? "its pods can't be created";
    // Quota and LimitRanger are the admission plugins that refuse with these words (plugin/pkg/admission in Kubernetes).
    const quota = /exceeded quota|failed quota|(maximum|minimum) (cpu|memory)|limit to request ratio/i.test(why);
    return { code: quota ? "RELAY_QUOTA" : "RELAY_POD_REFUSED", why };
  }
  for (const pod of pods) {
    for (const { state } of pod.status?.containerStatuses ?? []) {
      const waiting = state?.["waiting"] as { reason?: string; message?: string } | undefined;
      // ErrImagePull may pass; the kubelet says ImagePullBackOff when it has failed again.
      if (waiting?.reason === "ImagePullBackOff" || waiting?.reason === "InvalidImageName") {
        return { code: "RELAY_IMAGE_UNAVAILABLE", why: waiting.message ?? waiting.reason };
      }
    }
    const ends = crashLoop(pod);
    if (ends !== undefined) return { code: "RELAY_NOT_READY", why: ends };
  }
  return undefined;
}

const HINTS: Partial<Record<RelayErrorCode, string>> = {
  RELAY_IMAGE_UNAVAILABLE: "name an image with Node 22 or later that the cluster can pull (--image), or give it a pull secret",
  RELAY_QUOTA: "free some of the namespace's quota, or ask for less of it for the relay",
  RELAY_POD_REFUSED:
    "the message is the cluster's own: a policy there has to allow the pod, which meets the restricted Pod Security level",
};

/**
 * Resolves with the relay's pods when enough of them are ready. Rejects, as soon as that is known, with `RELAY_IMAGE_UNAVAILABLE`, `RELAY_QUOTA`,
 * `RELAY_POD_REFUSED` or `RELAY_NOT_READY`, with what the events of its pods say.
 */
export async function untilReady(cluster: Cluster, request: ReadinessRequest): Promise<Pod[]> {
  const { namespace, name, uid, replicas, timeoutMs, signal, besides } = request;
  const what = `the relay ${namespace}/${name}`;
  const over = new AbortController();
  const podWatch = cluster.watch(PODS, { namespace, labelSelector: relayPodSelector({ name, uid }), signal: over.signal });
  const ownWatch = cluster.watch(DEPLOYMENTS, { namespace, labelSelector: `${RELAY_LABEL}=${name}`, signal: over.signal });
  const timer = setTimeout(() => over.abort(), timeoutMs);
  const onAbort = (): void => over.abort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await new Promise<Pod[]>((resolve, reject) => {
      let known = false;
      const look = (): void => {
        const pods = [...podWatch.items.values()].filter(({ metadata }) => metadata.uid !== besides);
        const ready = pods.filter((pod) => isLive(pod) && isReady(pod));
        if (ready.length >= replicas) resolve(ready);
        const own = [...ownWatch.items.values()].find(({ metadata }) => metadata.uid === uid);
        if (known && !own) reject(relayError("RELAY_NOT_READY", `${what}: its Deployment was deleted`));
        const failure = hopeless(own, pods);
        if (failure) reject(relayError(failure.code, `${what}: ${failure.why}`, hintOf(failure.code)));
      };
      podWatch.events.on("change", look);
      ownWatch.events.on("change", look);
      // Who may list but not watch would wait for what never comes.
      podWatch.events.on("state", (state) => {
        if (state.status === "stale" && hasCode(state.error, "KUBE_FORBIDDEN")) reject(state.error);
      });
      podWatch.synced.then(look, reject);
      ownWatch.synced.then(() => {
        known = true;
        look();
      }, reject);
      over.signal.addEventListener("abort", () => {
        if (signal.aborted) return reject(abortError(signal));
        reject(
          relayError(
            "RELAY_NOT_READY",
            `${what} did not become ready within ${timeoutMs / 1000} s${lastOf([...podWatch.items.values()])}`,
          ),
        );
      });
      if (signal.aborted) onAbort();
    });
  } catch (error) {
    if (signal.aborted) throw error;
    throw await withEvents(cluster, request, error as Error & { code: RelayErrorCode; hint?: string }, [
      ...podWatch.items.values(),
    ]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
    await Promise.all([podWatch.close(), ownWatch.close()]);
  }
}

const hintOf = (code: RelayErrorCode): { hint?: string } => {
  const hint = HINTS[code];
  return hint === undefined ? {} : { hint };
};

/** What a pod waits for, in its own words. */
function lastOf(pods: readonly Pod[]): string {
  const [pod] = pods;
  if (!pod) return ": it has no pod yet";
  const scheduled = pod.status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False");
  if (scheduled) return `: no node takes its pod (${scheduled.message ?? scheduled.reason ?? "unscheduled"})`;
  const state = pod.status?.containerStatuses?.[0]?.state?.["waiting"] as { reason?: string; message?: string } | undefined;
  return state ? `: its pod waits (${state.message ?? state.reason})` : `: its pod is ${pod.status?.phase ?? "pending"}, not ready`;
}

/** The error, and what the events of the pods say beside. */
async function withEvents(
  cluster: Cluster,
  { namespace }: ReadinessRequest,
  error: Error & { code: RelayErrorCode; hint?: string },
  pods: readonly Pod[],
): Promise<Error> {
  if (!(error.code?.startsWith("RELAY_") ?? false)) return error;
  const names = new Set(pods.map(({ metadata }) => metadata.name));
  const events = await cluster
    .list(EVENTS, { namespace, fieldSelector: "type=Warning", signal: AbortSignal.timeout(3_000) })
    .catch(() => []);
  const said = events.flatMap(({ involvedObject, reason, message }) =>
    names.has(involvedObject.name ?? "") && message !== undefined ? [`${reason}: ${message}`] : [],
  );
  if (said.length === 0) return error;
  const hint = error.hint ?? `its events: ${[...new Set(said)].slice(-3).join("; ")}`;
  return relayError(error.code, error.message, { hint, cause: error.cause, details: { events: said } });
}
