export { type AccessAnswer, type AccessWish, mayI } from "./access.ts";
export { type AccessFacts, type AuthFact, readAccessFacts, withoutPassword } from "./access-facts.ts";
export { connectCluster } from "./client.ts";
export type {
  Cluster,
  ClusterInfo,
  ConnectOptions,
  ExecResult,
  ListOptions,
  ObjectRef,
  PatchKind,
  ServerVersion,
} from "./cluster.ts";
export { KUBE_ERRORS, type KubeErrorCode, kubeError } from "./errors.ts";
export { type ContextSummary, listContexts } from "./kubeconfig.ts";
export { type KubeconfigOutline, outlineKubeconfig } from "./kubeconfig-outline.ts";
export { selectorString } from "./label-selector.ts";
export { byPreference, isLive, isReady, livePod, meantPod, ordinalOf, podsOf } from "./live-pod.ts";
export * from "./objects.ts";
export type { CarrierKind } from "./portforward/carrier.ts";
export { PORTFORWARD_ERRORS } from "./portforward/errors.ts";
export type { PodStats, PortForwardStats } from "./portforward/pool.ts";
export { probeServer, type ServerAnswer } from "./server-probe.ts";
export type { Watch, WatchChange, WatchEvents, WatchState } from "./watch.ts";
export { type ResolveOptions, resolveWorkload, type Workload } from "./workload.ts";
export { parseReference, WORKLOAD_TYPES, type WorkloadObject } from "./workload-kinds.ts";
