import { codedErrors } from "@shipside/core";

export const KUBE_ERRORS = {
  KUBE_NO_CONFIG: "no kubeconfig was found, or it names no context",
  KUBE_CONFIG_INVALID: "a kubeconfig can't be read or doesn't fit together",
  KUBE_OPTION_INVALID: "an option of connectCluster or of a request is not of the form it must have",
  KUBE_CONTEXT_UNKNOWN: "the context is not in the kubeconfig, or none is chosen",
  KUBE_AUTH_PLUGIN_FAILED: "the credential plugin of the kubeconfig could not be run, or gave no usable credential",
  KUBE_AUTH_PLUGIN_TIMEOUT: "the credential plugin did not end in time; it was killed",
  KUBE_UNAUTHORIZED: "the API server does not accept the credentials, also after they were refreshed",
  KUBE_FORBIDDEN: "the user may not do this; the missing RBAC rule is in the hint",
  KUBE_UNREACHABLE: "no connection to the API server",
  KUBE_TLS: "the TLS handshake with the API server failed",
  KUBE_TIMEOUT: "the API server did not answer in time",
  KUBE_NOT_FOUND: "the object does not exist",
  KUBE_CONFLICT: "the object exists already, or was changed meanwhile, or another field manager owns a field",
  KUBE_INVALID: "the API server refuses the request as invalid",
  KUBE_GONE: "the resource version is too old to go on from",
  KUBE_THROTTLED: "the API server asks to come back later (429), also after waiting",
  KUBE_SERVER_ERROR: "the API server failed (5xx), or something on the way answered in its place",
  KUBE_PROTOCOL: "what was received does not follow the Kubernetes protocol",
  KUBE_KIND_UNKNOWN: "the API server doesn't serve this kind, or it isn't a kind of workload",
  KUBE_NAMESPACE_UNKNOWN: "no namespace of this name",
  KUBE_WORKLOAD_UNKNOWN: "no workload of this name",
  KUBE_WORKLOAD_AMBIGUOUS: "the reference fits several workloads",
  KUBE_NO_LIVE_POD: "the workload has no running pod",
  KUBE_EXEC_FAILED: "the command could not be run in the container",
  KUBE_CLOSED: "the cluster connection was closed",
} as const;

export const kubeError = codedErrors(KUBE_ERRORS);

export type KubeErrorCode = keyof typeof KUBE_ERRORS;
