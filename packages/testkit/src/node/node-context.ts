import type { Logger } from "@shipside/core";
import type { KubeJson, Store } from "../store.ts";
import type { BackoffOptions } from "./backoff.ts";
import type { RecordEvent } from "./events.ts";
import type { ImageRuntime } from "./images.ts";
import type { PodNetwork } from "./network/network.ts";

export interface ApiServerFacts {
  url: string;
  caPem: string;
  /** A service account's token, as mounted into pods and used by their clients. */
  tokenFor(namespace: string, serviceAccount: string, request?: TokenDetails): string | Promise<string>;
}

export interface TokenDetails {
  audience?: string;
  expirationSeconds: number;
  pod: { name: string; uid: string };
}

/** What the parts of one node share. */
export interface NodeContext {
  readonly store: Store;
  readonly name: string;
  readonly network: PodNetwork;
  /** Holds a directory for each pod, and the volumes. */
  readonly directory: string;
  readonly apiServer: ApiServerFacts | undefined;
  readonly images: Readonly<Record<string, ImageRuntime>>;
  readonly restartBackoff: BackoffOptions;
  readonly pullBackoff: BackoffOptions;
  /** Between two tries of what waits for another object (a ConfigMap that is missing), in milliseconds. */
  readonly retryMs: number;
  readonly maxLogBytes: number;
  readonly allocatable: Readonly<Record<string, string>>;
  readonly record: RecordEvent;
  readonly logger: Logger;
}

/** The pod as it is now, or undefined where it is gone or another one has its name. */
export function currentPod(context: NodeContext, pod: KubeJson): KubeJson | undefined {
  const now = context.store.get("pods", pod.metadata.namespace, pod.metadata.name);
  return now?.metadata.uid === pod.metadata.uid ? now : undefined;
}
