import { type ErrorJson, errorToJson, hasCode } from "@shipside/core";
import type { Cluster } from "@shipside/kube";
import type { ServiceStatus } from "@shipside/tunnel";
import { daemonError } from "./errors.ts";
import { type ProbeTunnelsOptions, probeTunnels } from "./probe.ts";
import type { NamesInfo, ProbeOptions, ProbeResult } from "./session-info.ts";

/** Whoever asks has an answer within three seconds. */
const PROBE_MS = 2_500;

export interface ProbedSession {
  id: string;
  cluster: Cluster;
  services: readonly ServiceStatus[];
  names: NamesInfo;
  /** As {@link ProbeTunnelsOptions}. */
  resolve: NonNullable<ProbeTunnelsOptions["resolve"]>;
}

/** Asks the API server, and tries the session's tunnels from end to end. Never rejects. */
export async function probeSession(session: ProbedSession, { signal, most }: ProbeOptions): Promise<ProbeResult> {
  const { id, cluster, services, names, resolve } = session;
  const limit = AbortSignal.timeout(PROBE_MS);
  const until = signal ? AbortSignal.any([signal, limit]) : limit;
  const skipped = names.where === "commands" ? "only commands of the session have the names" : "the session has no names";
  // Side by side: what the tunnels do is told also where the API server doesn't answer.
  const [answer, tunnels] = await Promise.all([
    askServer(cluster, until),
    probeTunnels({
      services,
      dial: (pod, port, ends) => cluster.portForward(pod, port, { signal: ends }),
      resolve: names.where === "hosts" ? resolve : { skipped },
      signal: until,
      ...(most !== undefined && { most }),
    }),
  ]);
  const { carrier, connections, streams, bytes, pods } = cluster.portForwardStats();
  const stuck = pods.reduce((sum, pod) => sum + pod.stuck, 0);
  return { id, ...answer, transport: { ...(carrier && { carrier }), connections, streams, bytes, stuck }, tunnels };
}

async function askServer(cluster: Cluster, until: AbortSignal): Promise<{ answeredMs: number } | { error: ErrorJson }> {
  const began = performance.now();
  const ms = (): number => Math.round(performance.now() - began);
  try {
    await cluster.version({ signal: until });
  } catch (error) {
    // Whoever may not ask for the version was answered all the same.
    if (hasCode(error, "KUBE_FORBIDDEN")) return { answeredMs: ms() };
    const late = until.aborted
      ? daemonError("PROBE_TIMEOUT", `${cluster.info.server} did not answer within ${ms() / 1000} s`, { cause: error })
      : error;
    return { error: errorToJson(late) };
  }
  return { answeredMs: ms() };
}
