import type { EnvSource, Logger } from "@shipside/core";
import type { Workload } from "@shipside/kube";
import { envError } from "./errors.ts";
import type { EnvSelection } from "./select.ts";
import type { AddressOf } from "./service-links.ts";

export interface CollectOptions {
  /** `deployment/core`, `deploy core`, a bare name, or what `resolveWorkload` gave. */
  workload: string | Workload;
  /** Default the cluster's own. */
  namespace?: string;
  /**
   * `spec` (the default) needs no running pod. `running` is what the container in a running pod really has, asked by exec: with the
   * image's variables, with what an entrypoint changed, and without what changed in the cluster since it started.
   */
  from?: "spec" | "running";
  /** Default: the one that `kubectl.kubernetes.io/default-container` names, else the first. May be an init container. */
  container?: string;
  /** The pod that downward values are taken from. Default: a running one of the workload, looked for only where it is needed. */
  pod?: string;
  /** Of a StatefulSet: the name of the one of its pods that is meant, also while that doesn't run. Default: the lowest ordinal that runs. */
  replica?: string;
  /** Where services are reached by whoever uses the env (the tunnels' addresses). Default: their cluster IPs. */
  addressOf?: AddressOf;
  /** Leave out what may not be read, with a warning, rather than fail with `KUBE_FORBIDDEN`. Default false. */
  skipForbidden?: boolean;
  /** Variable names as Kubernetes since 1.32 takes them. Default true; see {@link EnvWarning} for what false leaves out. */
  relaxedNames?: boolean;
  /** Asked as well, side by side; their entries win over the workload's own, later ones over earlier ones. */
  sources?: readonly EnvSource[];
  /** What of it is wanted. */
  select?: EnvSelection;
  signal?: AbortSignal;
  logger?: Logger;
}

/** Throws `ENV_OPTION_INVALID`. */
export function checkCollectOptions({ workload, from, addressOf, sources, select }: CollectOptions): void {
  const bad = (what: string, hint: string): Error => envError("ENV_OPTION_INVALID", `collectEnv: ${what}`, { hint });
  const resolved = typeof workload === "object" && workload !== null && typeof workload.podSpec === "object";
  if (typeof workload !== "string" && !resolved)
    throw bad("`workload` names no workload", "give kind/name, for example deployment/core");
  if (from !== undefined && from !== "spec" && from !== "running")
    throw bad(`\`from\` is ${JSON.stringify(from)}`, 'give "spec" or "running"');
  if (select !== undefined && (typeof select !== "object" || select === null))
    throw bad("`select` is not an object", "see the EnvSelection type");
  if (addressOf !== undefined && typeof addressOf !== "function")
    throw bad("`addressOf` is not a function", "give ({ namespace, name }) => address");
  if (sources !== undefined && !(Array.isArray(sources) && sources.every((source) => typeof source?.collect === "function"))) {
    throw bad("`sources` is not an array of sources", "see the EnvSource type of @shipside/core");
  }
}
