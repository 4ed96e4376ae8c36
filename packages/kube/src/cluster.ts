import type { Duplex } from "node:stream";
import type { Closable, Logger, PodRef } from "@shipside/core";
import type { KubeObject, ResourceType } from "./objects.ts";
import type { PortForwardStats } from "./portforward/pool.ts";
import type { Watch } from "./watch.ts";

/** What is about to be talked to; said to the user before anything is done. */
export interface ClusterInfo {
  context: string;
  cluster: string;
  user: string;
  /** URL of the API server. */
  server: string;
  /** The namespace used where none is named: the option, else the context's, else "default". */
  namespace: string;
  /** What the kubeconfig has done on the way there that isn't seen in these: a program that is run, a proxy, a certificate that isn't checked. */
  notes?: readonly string[];
}

export interface ConnectOptions {
  /** Path of a kubeconfig file, or several joined as in `KUBECONFIG`. Default: `KUBECONFIG`, `~/.kube/config`, in-cluster. */
  kubeconfig?: string;
  /** Default: the kubeconfig's current one. */
  context?: string;
  /** Default: the context's, else `default`. */
  namespace?: string;
  logger?: Logger;
  signal?: AbortSignal;
  /** For one request that isn't a watch, with its retries, in ms. Default 15,000. */
  requestTimeoutMs?: number;
  /** For one run of the kubeconfig's credential plugin, in ms. Default 30,000. */
  authPluginTimeoutMs?: number;
  /** How long a watch may be silent until its connection is taken for dead, in ms. Default 90,000: API servers send a bookmark a minute. */
  watchInactivityMs?: number;
}

export interface ObjectRef {
  /** Ignored for cluster-scoped kinds; default the cluster's own `info.namespace`. */
  namespace?: string;
  name: string;
}

export interface ListOptions {
  /** One namespace; all of them where it is undefined. */
  namespace?: string;
  /** As `kubectl -l` and `--field-selector` take them. */
  labelSelector?: string;
  fieldSelector?: string;
  signal?: AbortSignal;
}

/** By which media type a patch goes: JSON Patch (RFC 6902), JSON Merge Patch (RFC 7386), strategic merge, server-side apply. */
export type PatchKind = "json" | "merge" | "strategic" | "apply";

export interface ExecResult {
  stdout: Buffer;
  stderr: Buffer;
  exitCode: number;
}

/** `GET /version`. */
export interface ServerVersion {
  major: string;
  minor: string;
  gitVersion: string;
}

/**
 * The narrow interface through which everything of ours talks to a cluster. Errors carry the codes of `KUBE_ERRORS`; `KUBE_FORBIDDEN`
 * names the verb, the resource and the RBAC rule that is missing.
 */
export interface Cluster extends Closable {
  readonly info: ClusterInfo;
  /** Asks the server for its version: the cheapest proof that address, TLS and credentials are good. */
  version(options?: { signal?: AbortSignal }): Promise<ServerVersion>;
  get<T extends KubeObject>(type: ResourceType<T>, ref: ObjectRef, options?: { signal?: AbortSignal }): Promise<T>;
  /** All pages. */
  list<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Promise<T[]>;
  /** List, then watch, for as long as it is open. See {@link Watch}. */
  watch<T extends KubeObject>(type: ResourceType<T>, options?: ListOptions): Watch<T>;
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: { dryRun?: boolean; signal?: AbortSignal }): Promise<T>;
  /** `fieldManager` is "shipside". `force` is for server-side apply. */
  patch<T extends KubeObject>(
    type: ResourceType<T>,
    ref: ObjectRef,
    patch: unknown,
    options: { kind: PatchKind; force?: boolean; dryRun?: boolean; signal?: AbortSignal },
  ): Promise<T>;
  /** Resolves where the object is gone already. */
  delete(
    type: ResourceType,
    ref: ObjectRef,
    options?: {
      propagation?: "Foreground" | "Background" | "Orphan";
      gracePeriodSeconds?: number;
      uid?: string;
      signal?: AbortSignal;
    },
  ): Promise<void>;
  /** A stream to a port of a pod, with the properties and error codes that the `Dialer` of @shipside/core describes. */
  portForward(pod: PodRef, port: number, options?: { signal?: AbortSignal }): Promise<Duplex>;
  /** The port-forward connections as they stand now. Asks nobody. */
  portForwardStats(): PortForwardStats;
  /**
   * Distrusts every connection: idle ones are dropped, port-forward connections are asked for a sign of life, watches connect anew now
   * instead of when their silence is noticed. Done by itself within 5 s of the machine waking up or its addresses changing.
   */
  revalidate(): void;
  /**
   * Runs a command to its end. Rejects only when it could not be run; a non-zero exit is a result.
   *
   * `onStdout` takes what it prints as it comes, and `stdout` is then empty. The bytes are the caller's only until it returns. Where it
   * returns a promise, no more is read until that resolves, though what was read already still comes. What it throws, or rejects with, is
   * what `exec` rejects with at once.
   *
   * What runs isn't ended by whoever is gone, nor by `signal`: it waits for ever where nobody reads what it prints. With `stdin: "open"` its
   * input is empty and ends only then, which it may look out for.
   *
   * `bulk`: much is going to be printed. It comes by SPDY where the way there lets that pass, which takes less of the servers, and a round trip more at the
   * start. Where nothing at all comes that way within 5 s, the command is run once more by WebSocket: so it is for commands that do no harm twice.
   */
  exec(
    pod: PodRef,
    command: readonly string[],
    options?: {
      container?: string;
      stdin?: Uint8Array | "open";
      bulk?: boolean;
      onStdout?(chunk: Buffer): void | Promise<void>;
      signal?: AbortSignal;
    },
  ): Promise<ExecResult>;
}
