/** A kind as the API serves it. */
export interface Resource {
  group: string;
  version: string;
  plural: string;
  singular: string;
  kind: string;
  namespaced: boolean;
  shortNames: readonly string[];
  categories: readonly string[];
  verbs: readonly string[];
  /** "status", "scale", … */
  subresources: readonly string[];
  /** The store's name for it: `plural` or `plural.group`. */
  key: string;
  /** What every answer warns of. */
  deprecation?: string;
  /** Where its columns and schema come from: a kind of ours, or a CustomResourceDefinition. */
  custom?: CustomKind;
}

export interface CustomKind {
  storageVersion: string;
  columns: ReadonlyArray<{ name: string; type: string; jsonPath: string; priority?: number; description?: string }>;
}

const ALL_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

interface Extra {
  cluster?: true;
  categories?: string[];
  sub?: string[];
  verbs?: string[];
  deprecation?: string;
}

const kind = (groupVersion: string, plural: string, name: string, shortNames: string[] = [], extra: Extra = {}): Resource => {
  const slash = groupVersion.indexOf("/");
  const group = slash < 0 ? "" : groupVersion.slice(0, slash);
  return {
    group,
    version: groupVersion.slice(slash + 1),
    plural,
    singular: name.toLowerCase(),
    kind: name,
    namespaced: !extra.cluster,
    shortNames,
    categories: extra.categories ?? [],
    verbs: extra.verbs ?? ALL_VERBS,
    subresources: extra.sub ?? [],
    key: group ? `${plural}.${group}` : plural,
    ...(extra.deprecation && { deprecation: extra.deprecation }),
  };
};

const all = ["all"];
const CREATE = ["create"];
const RBAC = "rbac.authorization.k8s.io/v1";

/** In the order in which discovery shows them. */
export const BUILT_IN: readonly Resource[] = [
  kind("v1", "bindings", "Binding", [], { verbs: CREATE }),
  kind("v1", "configmaps", "ConfigMap", ["cm"]),
  kind("v1", "endpoints", "Endpoints", ["ep"], {
    deprecation: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  }),
  kind("v1", "events", "Event", ["ev"]),
  kind("v1", "limitranges", "LimitRange", ["limits"]),
  kind("v1", "namespaces", "Namespace", ["ns"], {
    cluster: true,
    sub: ["finalize", "status"],
    verbs: ALL_VERBS.filter((verb) => verb !== "deletecollection"),
  }),
  kind("v1", "nodes", "Node", ["no"], { cluster: true, sub: ["status"] }),
  kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim", ["pvc"], { sub: ["status"] }),
  kind("v1", "persistentvolumes", "PersistentVolume", ["pv"], { cluster: true, sub: ["status"] }),
  kind("v1", "pods", "Pod", ["po"], {
    categories: all,
    sub: ["attach", "binding", "ephemeralcontainers", "eviction", "exec", "log", "portforward", "status"],
  }),
  kind("v1", "podtemplates", "PodTemplate"),
  kind("v1", "replicationcontrollers", "ReplicationController", ["rc"], { categories: all, sub: ["scale", "status"] }),
  kind("v1", "resourcequotas", "ResourceQuota", ["quota"], { sub: ["status"] }),
  kind("v1", "secrets", "Secret"),
  kind("v1", "serviceaccounts", "ServiceAccount", ["sa"], { sub: ["token"] }),
  kind("v1", "services", "Service", ["svc"], { categories: all, sub: ["status"] }),
  kind("apps/v1", "controllerrevisions", "ControllerRevision"),
  kind("apps/v1", "daemonsets", "DaemonSet", ["ds"], { categories: all, sub: ["status"] }),
  kind("apps/v1", "deployments", "Deployment", ["deploy"], { categories: all, sub: ["scale", "status"] }),
  kind("apps/v1", "replicasets", "ReplicaSet", ["rs"], { categories: all, sub: ["scale", "status"] }),
  kind("apps/v1", "statefulsets", "StatefulSet", ["sts"], { categories: all, sub: ["scale", "status"] }),
  kind("authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", [], { cluster: true, verbs: CREATE }),
  kind("authentication.k8s.io/v1", "tokenreviews", "TokenReview", [], { cluster: true, verbs: CREATE }),
  kind("authorization.k8s.io/v1", "localsubjectaccessreviews", "LocalSubjectAccessReview", [], { verbs: CREATE }),
  kind("authorization.k8s.io/v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", [], { cluster: true, verbs: CREATE }),
  kind("authorization.k8s.io/v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", [], { cluster: true, verbs: CREATE }),
  kind("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", [], { cluster: true, verbs: CREATE }),
  kind("certificates.k8s.io/v1beta1", "clustertrustbundles", "ClusterTrustBundle", [], { cluster: true }),
  kind("batch/v1", "cronjobs", "CronJob", ["cj"], { categories: all, sub: ["status"] }),
  kind("batch/v1", "jobs", "Job", [], { categories: all, sub: ["status"] }),
  kind("networking.k8s.io/v1", "ingressclasses", "IngressClass", [], { cluster: true }),
  kind("networking.k8s.io/v1", "ingresses", "Ingress", ["ing"], { sub: ["status"] }),
  kind("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", ["netpol"]),
  kind("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", ["pdb"], { sub: ["status"] }),
  kind(RBAC, "clusterrolebindings", "ClusterRoleBinding", [], { cluster: true }),
  kind(RBAC, "clusterroles", "ClusterRole", [], { cluster: true }),
  kind(RBAC, "rolebindings", "RoleBinding"),
  kind(RBAC, "roles", "Role"),
  kind("storage.k8s.io/v1", "storageclasses", "StorageClass", ["sc"], { cluster: true }),
  kind("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", ["crd", "crds"], {
    cluster: true,
    categories: ["api-extensions"],
    sub: ["status"],
  }),
  kind("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", ["pc"], { cluster: true }),
  kind("coordination.k8s.io/v1", "leases", "Lease"),
  kind("discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
];
