import {
  binding,
  clusterTrustBundle,
  customResourceDefinition,
  endpointSlice,
  endpoints,
  ingress,
  limitRange,
  namespace,
  node,
  persistentVolume,
  persistentVolumeClaim,
  podDisruptionBudget,
  priorityClass,
  resourceQuota,
  role,
  storageClass,
} from "./cluster-kinds.ts";
import { configMap, secret } from "./config.ts";
import { pod } from "./pod.ts";
import { service } from "./service.ts";
import type { Strategy } from "./strategy.ts";
import { cronJob, daemonSet, deployment, job, replicaSet, statefulSet } from "./workloads.ts";

/** By the store's name of a resource. A kind without an entry is stored as it comes. */
export const STRATEGIES: Readonly<Record<string, Strategy>> = {
  configmaps: configMap,
  endpoints,
  limitranges: limitRange,
  namespaces: namespace,
  nodes: node,
  persistentvolumeclaims: persistentVolumeClaim,
  persistentvolumes: persistentVolume,
  pods: pod,
  resourcequotas: resourceQuota,
  secrets: secret,
  services: service,
  "clustertrustbundles.certificates.k8s.io": clusterTrustBundle,
  "cronjobs.batch": cronJob,
  "customresourcedefinitions.apiextensions.k8s.io": customResourceDefinition,
  "daemonsets.apps": daemonSet,
  "deployments.apps": deployment,
  "endpointslices.discovery.k8s.io": endpointSlice,
  "ingresses.networking.k8s.io": ingress,
  "jobs.batch": job,
  "poddisruptionbudgets.policy": podDisruptionBudget,
  "replicasets.apps": replicaSet,
  "clusterroles.rbac.authorization.k8s.io": role,
  "roles.rbac.authorization.k8s.io": role,
  "clusterrolebindings.rbac.authorization.k8s.io": binding,
  "rolebindings.rbac.authorization.k8s.io": binding,
  "statefulsets.apps": statefulSet,
  "priorityclasses.scheduling.k8s.io": priorityClass,
  "storageclasses.storage.k8s.io": storageClass,
};
