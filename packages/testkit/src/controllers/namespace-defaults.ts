import { type Context, type Controller, splitKey } from "./context.ts";

/** What every namespace has: the ServiceAccount `default`, and the authority's certificate for its pods. */
export function namespaceDefaultsController(context: Context, ca: string): Controller {
  const { store } = context;
  return {
    name: "namespace-defaults",
    observe({ resource, object }, add) {
      if (resource === "namespaces") add(object.metadata.name);
      else if (resource === "serviceaccounts" || resource === "configmaps") add(object.metadata.namespace!);
    },
    reconcile(key) {
      const { name: namespace } = splitKey(key);
      if (store.get("namespaces", undefined, namespace)?.["status"]?.phase !== "Active") return;
      if (!store.get("serviceaccounts", namespace, "default")) {
        context.create("serviceaccounts", namespace, { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } });
      }
      const existing = store.get("configmaps", namespace, "kube-root-ca.crt");
      if (!existing) {
        context.create("configmaps", namespace, {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: {
            name: "kube-root-ca.crt",
            annotations: {
              "kubernetes.io/description":
                "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal " +
                "service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.",
            },
          },
          data: { "ca.crt": ca },
        });
      } else if (existing["data"]?.["ca.crt"] !== ca) {
        store.mutate("configmaps", namespace, "kube-root-ca.crt", (copy) => {
          copy["data"] = { "ca.crt": ca };
        });
      }
    },
  };
}
