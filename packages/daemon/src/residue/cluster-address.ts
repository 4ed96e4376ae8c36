import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { type Closable, createCloser, hasCode } from "@shipside/core";
import { type Cluster, connectCluster } from "@shipside/kube";
import { daemonError } from "../errors.ts";

/** How a later process finds a cluster again. No credentials: those are read from the kubeconfig then. */
export interface ClusterAddress {
  /** Absolute; several joined as in `KUBECONFIG`. Missing: there was no file (inside a cluster). */
  kubeconfig?: string;
  context: string;
  /** What the context must still lead to. */
  server: string;
}

/** The address of a connected cluster. `kubeconfig`: what it was connected with; default what a connection takes without one. */
export function clusterAddress({ info }: Pick<Cluster, "info">, kubeconfig?: string): ClusterAddress {
  const standard = join(homedir(), ".kube", "config");
  const files = kubeconfig ?? (process.env["KUBECONFIG"] || (existsSync(standard) ? standard : undefined));
  return {
    ...(files !== undefined && { kubeconfig: absolute(files) }),
    context: info.context,
    server: withoutPassword(info.server),
  };
}

const absolute = (files: string): string =>
  files
    .split(delimiter)
    .filter((file) => file !== "")
    .map((file) => resolve(file))
    .join(delimiter);

function withoutPassword(server: string): string {
  const url = URL.parse(server);
  if (!url) return server;
  url.username = "";
  url.password = "";
  return url.href;
}

export interface ClusterConnections extends Closable {
  cluster(address: ClusterAddress): Promise<Cluster>;
}

/** For one round of undoing. */
export interface ConnectionOptions {
  /** Tried where the recorded kubeconfig doesn't lead to the cluster any more. */
  instead?: { kubeconfig?: string; context?: string };
  /** For each request. Default 5,000. */
  requestTimeoutMs?: number;
  signal?: AbortSignal;
}

const NOT_THERE = ["KUBE_NO_CONFIG", "KUBE_CONFIG_INVALID", "KUBE_CONTEXT_UNKNOWN", "UNDO_FAILED"];

/**
 * Connects each cluster once, and asks it for a sign of life: of one that doesn't answer, everything that is in it fails at once with
 * the same reason, instead of one time-out each.
 */
export function createConnections(options: ConnectionOptions = {}): ClusterConnections {
  const { instead, requestTimeoutMs = 5_000, signal } = options;
  const closer = createCloser();
  const connected = new Map<string, Promise<Cluster>>();

  const connect = async (where: { kubeconfig?: string; context?: string }, server: string): Promise<Cluster> => {
    const cluster = await connectCluster({ ...where, requestTimeoutMs, ...(signal && { signal }) });
    closer.use(cluster);
    const now = withoutPassword(cluster.info.server);
    // A context is a name that a person may have given to another cluster since.
    if (now !== server) {
      throw daemonError("UNDO_FAILED", `context ${cluster.info.context} leads to ${now} now, and not to ${server}`, {
        hint: "`shipside clean --kubeconfig FILE --context NAME` with those that lead there",
      });
    }
    await cluster.version(signal ? { signal } : {}).catch((error: unknown) => {
      // Whoever may not ask for the version was answered all the same.
      if (!hasCode(error, "KUBE_FORBIDDEN")) throw error;
    });
    return cluster;
  };

  return {
    cluster({ kubeconfig, context, server }) {
      const key = JSON.stringify([kubeconfig, context, server]);
      const found =
        connected.get(key) ??
        connect({ context, ...(kubeconfig !== undefined && { kubeconfig }) }, server).catch((error: unknown) => {
          if (!instead || !hasCode(error, ...NOT_THERE)) throw error;
          return connect(instead, server);
        });
      connected.set(key, found);
      return found;
    },
    close: () => closer.close(),
    [Symbol.asyncDispose]: () => closer.close(),
  };
}
