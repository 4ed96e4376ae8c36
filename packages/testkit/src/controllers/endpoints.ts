import { labelSelectorRequirements } from "../api/selectors.ts";
import { type Json, sameJson } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { podEndpoints } from "./service-endpoints.ts";
import { servicesOf } from "./services-of.ts";

/** The older form of a service's endpoints, which kubectl and other clients still read. */
export function endpointsController(context: Context): Controller {
  const { store } = context;
  return {
    name: "endpoints",
    observe(event, add) {
      for (const service of servicesOf(context, event)) add(keyOf(service));
    },
    reconcile(key) {
      const { namespace, name } = splitKey(key);
      const service = store.get("services", namespace, name);
      if (!service) {
        // Endpoints that somebody else made for a service without a selector go too: the name is all that ties them.
        context.remove("endpoints", namespace, name);
        return;
      }
      const selector = service["spec"].selector;
      if (!selector || service["spec"].type === "ExternalName") return;
      const pods = context.pods.matching(namespace!, labelSelectorRequirements({ matchLabels: selector })!);
      const family = service["spec"].ipFamilies?.[0] ?? "IPv4";
      const subsets = toSubsets(service, pods, family);
      const labels = {
        ...service.metadata.labels,
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
        ...(service["spec"].clusterIP === "None" && { "service.kubernetes.io/headless": "" }),
      };
      const existing = store.get("endpoints", namespace, name);
      if (!existing) {
        context.create("endpoints", namespace!, {
          apiVersion: "v1",
          kind: "Endpoints",
          metadata: { name, labels },
          ...(subsets.length > 0 && { subsets }),
        });
      } else if (!sameJson({ subsets: existing["subsets"] ?? [], labels: existing.metadata.labels }, { subsets, labels })) {
        store.mutate("endpoints", namespace, name, (copy) => {
          copy.metadata.labels = labels;
          if (subsets.length > 0) copy["subsets"] = subsets;
          else delete copy["subsets"];
        });
      }
    },
  };
}

function toSubsets(service: KubeJson, pods: readonly KubeJson[], family: "IPv4" | "IPv6"): Json[] {
  const publish = service["spec"].publishNotReadyAddresses === true;
  const byPorts = new Map<string, { addresses: Json[]; notReadyAddresses: Json[]; ports: Json[] }>();
  for (const { pod, address, ports, ready, terminating, hostname } of podEndpoints(service, pods, family)) {
    if (terminating && !publish) continue;
    if (ports.length === 0 && service["spec"].clusterIP !== "None") continue;
    const key = JSON.stringify(ports);
    const subset = byPorts.get(key) ?? {
      addresses: [],
      notReadyAddresses: [],
      ports: ports.map(({ name, ...port }) => (name === "" ? port : { name, ...port })),
    };
    byPorts.set(key, subset);
    subset[ready ? "addresses" : "notReadyAddresses"].push({
      ip: address,
      ...(hostname && { hostname }),
      ...(pod["spec"].nodeName && { nodeName: pod["spec"].nodeName }),
      targetRef: { kind: "Pod", namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
    });
  }
  const byAddress = (a: Json, b: Json): number => (a.ip < b.ip ? -1 : 1);
  return [...byPorts.values()].map(({ addresses, notReadyAddresses, ports }) => ({
    ...(addresses.length > 0 && { addresses: addresses.sort(byAddress) }),
    ...(notReadyAddresses.length > 0 && { notReadyAddresses: notReadyAddresses.sort(byAddress) }),
    ...(ports.length > 0 && { ports }),
  }));
}
