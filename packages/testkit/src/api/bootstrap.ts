import type { Json } from "../json.ts";
import type { Store } from "../store.ts";
import type { Registry } from "./registry.ts";

const RBAC = "rbac.authorization.k8s.io";
const NAMESPACES = ["default", "kube-node-lease", "kube-public", "kube-system"];

const rule = (apiGroups: string, resources: string, verbs: string): Json => ({
  apiGroups: apiGroups.split(" ").map((group) => (group === "core" ? "" : group)),
  resources: resources.split(" "),
  verbs: verbs.split(" "),
});

const READ = "get list watch";
const WRITE = "create delete deletecollection patch update";
const WORKLOADS =
  "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status";
const CORE =
  "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status";

const VIEW: Json[] = [
  rule("core", CORE, READ),
  rule(
    "core",
    "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status namespaces",
    READ,
  ),
  rule("discovery.k8s.io", "endpointslices", READ),
  rule("apps", WORKLOADS, READ),
  rule("batch", "cronjobs cronjobs/status jobs jobs/status", READ),
  rule("policy", "poddisruptionbudgets poddisruptionbudgets/status", READ),
  rule("networking.k8s.io", "ingresses ingresses/status networkpolicies", READ),
];

const EDIT: Json[] = [
  rule("core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy", READ),
  rule("core", "serviceaccounts", "impersonate"),
  rule("core", "pods pods/attach pods/exec pods/portforward pods/proxy", WRITE),
  rule("core", "pods/eviction", "create"),
  rule(
    "core",
    "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy",
    WRITE,
  ),
  rule("core", "serviceaccounts/token", "create"),
  rule(
    "apps",
    "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale",
    WRITE,
  ),
  rule("batch", "cronjobs jobs", WRITE),
  rule("policy", "poddisruptionbudgets", WRITE),
  rule("networking.k8s.io", "ingresses networkpolicies", WRITE),
  rule("coordination.k8s.io", "leases", `${WRITE} ${READ}`),
];

const ADMIN: Json[] = [
  rule("authorization.k8s.io", "localsubjectaccessreviews", "create"),
  rule(RBAC, "rolebindings roles", `${WRITE} ${READ}`),
];

const INFO_PATHS = ["/healthz", "/livez", "/readyz", "/version", "/version/"];

const CLUSTER_ROLES: Readonly<Record<string, Json[]>> = {
  "cluster-admin": [rule("*", "*", "*"), { nonResourceURLs: ["*"], verbs: ["*"] }],
  admin: [...EDIT, ...VIEW, ...ADMIN],
  edit: [...EDIT, ...VIEW],
  view: VIEW,
  "system:basic-user": [
    rule("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
    rule("authentication.k8s.io", "selfsubjectreviews", "create"),
  ],
  "system:discovery": [
    { nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*", ...INFO_PATHS, "/openapi", "/openapi/*"], verbs: ["get"] },
  ],
  "system:public-info-viewer": [{ nonResourceURLs: INFO_PATHS, verbs: ["get"] }],
};

const BINDINGS: ReadonlyArray<[string, string[]]> = [
  ["cluster-admin", ["system:masters"]],
  ["system:basic-user", ["system:authenticated"]],
  ["system:discovery", ["system:authenticated"]],
  ["system:public-info-viewer", ["system:authenticated", "system:unauthenticated"]],
];

/** What every cluster has from the start: namespaces, the usual ClusterRoles, the `kubernetes` Service. */
export function bootstrap(registry: Registry): void {
  const { store } = registry;
  keepNamespaceContent(store, registry);
  const create = (group: string, plural: string, namespace: string, object: Json): void => {
    registry.create(registry.find(group, "v1", plural)!, namespace, object, { trusted: true });
  };
  for (const name of NAMESPACES) create("", "namespaces", "", { metadata: { name } });
  const metadata = (name: string): Json => ({
    name,
    labels: { "kubernetes.io/bootstrapping": "rbac-defaults" },
    annotations: { "rbac.authorization.kubernetes.io/autoupdate": "true" },
  });
  for (const [name, rules] of Object.entries(CLUSTER_ROLES)) create(RBAC, "clusterroles", "", { metadata: metadata(name), rules });
  for (const [name, groups] of BINDINGS) {
    create(RBAC, "clusterrolebindings", "", {
      metadata: metadata(name),
      roleRef: { apiGroup: RBAC, kind: "ClusterRole", name },
      subjects: groups.map((group) => ({ apiGroup: RBAC, kind: "Group", name: group })),
    });
  }
  create("", "services", "default", {
    metadata: { name: "kubernetes", labels: { component: "apiserver", provider: "kubernetes" } },
    spec: {
      clusterIP: "10.96.0.1",
      ports: [{ name: "https", port: 443, targetPort: 6443 }],
    },
  });
}

/** Where the `kubernetes` Service leads: known once the server listens. */
export function publishEndpoint(store: Store, address: string, port: number): void {
  const put = (resource: string, object: Json): void => {
    const found = store.get(resource, "default", "kubernetes");
    if (found) store.update(resource, { ...found, ...object, metadata: found.metadata });
    else store.create(resource, object);
  };
  put("endpoints", {
    apiVersion: "v1",
    kind: "Endpoints",
    metadata: { name: "kubernetes", namespace: "default", labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } },
    subsets: [{ addresses: [{ ip: address }], ports: [{ name: "https", port, protocol: "TCP" }] }],
  });
  put("endpointslices.discovery.k8s.io", {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "kubernetes", namespace: "default", labels: { "kubernetes.io/service-name": "kubernetes" } },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [{ name: "https", port, protocol: "TCP" }],
  });
}

/** Each namespace has a `default` ServiceAccount and the cluster's CA in a ConfigMap; they come back when deleted. */
function keepNamespaceContent(store: Store, registry: Registry): void {
  const ensure = (namespace: string): void => {
    const found = store.get("namespaces", undefined, namespace);
    if (!found || found.metadata.deletionTimestamp) return;
    if (!store.get("serviceaccounts", namespace, "default")) {
      store.create("serviceaccounts", { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace } });
    }
    if (store.get("configmaps", namespace, "kube-root-ca.crt")) return;
    store.create("configmaps", {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: {
        name: "kube-root-ca.crt",
        namespace,
        annotations: {
          "kubernetes.io/description":
            "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or " +
            "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
        },
      },
      data: { "ca.crt": registry.ca },
    });
  };
  store.subscribe(({ resource, type, object }) => {
    const { name, namespace } = object.metadata;
    if (resource === "namespaces" && type === "ADDED") ensure(name);
    else if (type === "DELETED" && resource === "serviceaccounts" && name === "default") ensure(namespace!);
    else if (type === "DELETED" && resource === "configmaps" && name === "kube-root-ca.crt") ensure(namespace!);
  });
}
