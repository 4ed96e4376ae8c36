import { errorToJson, hasCode } from "@shipside/core";
import { type CarrierKind, type Cluster, isLive, isReady, PODS, type Pod } from "@shipside/kube";
import { type Check, type Finding, ok, problem, warning } from "../check.ts";
import { reachedCluster } from "../context.ts";

const CALLED: Record<CarrierKind, string> = {
  spdy: "SPDY",
  websocket: "SPDY in a WebSocket",
  channel: "a WebSocket for each connection",
};

/** How connections to pods travel, tried with a real pod. */
export const carrier: Check = {
  id: "carrier",
  title: "way to the pods",
  async run(context, signal) {
    const cluster = await reachedCluster(context);
    if (!cluster) return [];
    const { namespace } = cluster.info;
    const running = await cluster
      .list(PODS, { namespace, fieldSelector: "status.phase=Running", signal })
      .catch((error: unknown) => {
        if (hasCode(error, "KUBE_FORBIDDEN")) return undefined;
        throw error;
      });
    if (!running) return [ok(`not tried: pods of namespace ${namespace} may not be listed`)];
    const pod = pick(running);
    if (!pod) return [ok(`not tried: no pod is ready in namespace ${namespace}`)];
    return tryPod(cluster, pod, signal);
  },
};

async function tryPod(cluster: Cluster, { metadata, spec }: Pod, signal: AbortSignal): Promise<Finding[]> {
  const ref = { namespace: metadata.namespace ?? cluster.info.namespace, name: metadata.name };
  const port = portOf(spec) ?? 1;
  const began = performance.now();
  try {
    const stream = await cluster.portForward(ref, port, { signal });
    stream.on("error", () => {}).destroy();
  } catch (error) {
    // A pod that refuses has been reached.
    if (!hasCode(error, "DIAL_REFUSED")) {
      const { code, message, hint } = errorToJson(error);
      return [problem(message, hint ?? "does a proxy or load balancer on the way cut upgraded connections?", { code, pod: ref })];
    }
  }
  const streamMs = Math.round(performance.now() - began);
  const roundTripMs = await roundTrip(cluster, signal);
  const { carrier: kind } = cluster.portForwardStats();
  const way = kind ? CALLED[kind] : "unknown";
  const text = `${way}; a first stream to ${ref.name} in ${streamMs} ms, a round trip to the API server in ${roundTripMs} ms`;
  const details = { carrier: kind ?? null, streamMs, roundTripMs, pod: ref };
  if (kind !== "channel") return [ok(text, details)];
  return [
    warning(text, "something on the way refuses SPDY: ask for SPDY or WebSockets to be let through; this way is slow", details),
  ];
}

/** The best of three on a connection that stands. */
async function roundTrip(cluster: Cluster, signal: AbortSignal): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    const began = performance.now();
    await cluster.version({ signal }).catch(() => {});
    times.push(performance.now() - began);
  }
  return Math.round(Math.min(...times));
}

const portOf = (spec: Pod["spec"]): number | undefined =>
  spec.containers.flatMap(({ ports = [] }) => ports).find(({ protocol = "TCP" }) => protocol === "TCP")?.containerPort;

function pick(pods: readonly Pod[]): Pod | undefined {
  const ready = pods.filter((pod) => isLive(pod) && isReady(pod));
  return ready.find(({ spec }) => portOf(spec) !== undefined) ?? ready[0];
}
