import { labelSelectorRequirements } from "../api/selectors.ts";
import { type Json, sameJson } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { timestamp } from "./clock.ts";
import { type Context, type Controller, keyOf, splitKey } from "./context.ts";
import { controllerReference } from "./owners.ts";
import { type EndpointPort, type PodEndpoint, podEndpoints } from "./service-endpoints.ts";
import { servicesOf } from "./services-of.ts";

const RESOURCE = "endpointslices.discovery.k8s.io";
const SERVICE_NAME = "kubernetes.io/service-name";
const MANAGED_BY = "endpointslice.kubernetes.io/managed-by";
const MANAGER = "endpointslice-controller.k8s.io";
/** The real controller's own limit (--max-endpoints-per-slice). */
const MAX_ENDPOINTS = 100;

type Family = "IPv4" | "IPv6";

export function endpointSliceController(context: Context): Controller {
  const { store } = context;

  const write = (service: KubeJson, slice: KubeJson | undefined, family: Family, ports: Json, endpoints: Json[]): void => {
    const labels = sliceLabels(service);
    // Nil lists, as the real one's placeholder has them.
    const content = { endpoints: endpoints.length > 0 ? endpoints : null, ports };
    const { namespace, name } = service.metadata;
    if (!slice) {
      context.create(RESOURCE, namespace!, {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: {
          generateName: `${name}-`,
          labels,
          annotations: { "endpoints.kubernetes.io/last-change-trigger-time": timestamp(context.clock.now()) },
          ownerReferences: [controllerReference(service)],
        },
        addressType: family,
        ...content,
      });
    } else if (
      !sameJson({ endpoints: slice["endpoints"], ports: slice["ports"], labels: slice.metadata.labels }, { ...content, labels })
    ) {
      store.mutate(RESOURCE, namespace, slice.metadata.name, (copy) => {
        copy["endpoints"] = content.endpoints;
        copy["ports"] = content.ports;
        copy.metadata.labels = labels;
      });
    }
  };

  const reconcileFamily = (service: KubeJson, family: Family, pods: readonly KubeJson[], slices: readonly KubeJson[]): void => {
    const spare = new Set(slices);
    const planned = groups(podEndpoints(service, pods, family)).flatMap(({ ports, endpoints }) => {
      const group = slices.filter((slice) => sameJson(slice["ports"], ports));
      return distribute(endpoints, group).map((plan) => ({ ports: ports as Json, ...plan }));
    });
    for (const { slice } of planned) if (slice) spare.delete(slice);
    // A service without endpoints keeps one slice that says so.
    if (planned.length === 0) planned.push({ ports: null, content: [] });
    const rest = [...spare];
    for (const { slice, ports, content } of planned) write(service, slice ?? rest.shift(), family, ports, content);
    for (const slice of rest) context.remove(RESOURCE, slice.metadata.namespace, slice.metadata.name);
  };

  return {
    name: "endpointslice",
    observe(event, add) {
      if (event.resource === RESOURCE && event.object.metadata.labels?.[MANAGED_BY] === MANAGER) {
        add(`${event.object.metadata.namespace}/${event.object.metadata.labels[SERVICE_NAME]}`);
      } else for (const service of servicesOf(context, event)) add(keyOf(service));
    },
    reconcile(key) {
      const { namespace, name } = splitKey(key);
      const service = store.get("services", namespace, name);
      const selector = service?.["spec"].selector;
      // Without a selector the slices are somebody else's; those of a service that is gone go with their owner.
      if (!service || !selector || service["spec"].type === "ExternalName" || service.metadata.deletionTimestamp) return;
      const pods = context.pods.matching(namespace!, labelSelectorRequirements({ matchLabels: selector })!);
      const slices = context.objects
        .dependents(service.metadata.uid)
        .filter(({ resource }) => resource === RESOURCE)
        .map((slice) => store.get(RESOURCE, namespace, slice.name)!)
        .filter((slice) => slice.metadata.labels?.[MANAGED_BY] === MANAGER && !slice.metadata.deletionTimestamp)
        .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
      const families: Family[] = service["spec"].ipFamilies ?? ["IPv4"];
      for (const family of families) {
        reconcileFamily(
          service,
          family,
          pods,
          slices.filter((slice) => slice["addressType"] === family),
        );
      }
    },
  };
}

function sliceLabels(service: KubeJson): Record<string, string> {
  return {
    ...service.metadata.labels,
    [SERVICE_NAME]: service.metadata.name,
    [MANAGED_BY]: MANAGER,
    ...(service["spec"].clusterIP === "None" && { "service.kubernetes.io/headless": "" }),
  };
}

/** Endpoints with the same ports share slices. */
function groups(all: readonly PodEndpoint[]): Array<{ ports: EndpointPort[]; endpoints: Json[] }> {
  const byPorts = new Map<string, { ports: EndpointPort[]; endpoints: Json[] }>();
  for (const endpoint of all) {
    const key = JSON.stringify(endpoint.ports);
    const group = byPorts.get(key) ?? { ports: [...endpoint.ports], endpoints: [] };
    group.endpoints.push(toEndpoint(endpoint));
    byPorts.set(key, group);
  }
  return [...byPorts.values()];
}

function toEndpoint({ pod, address, ready, serving, terminating, hostname }: PodEndpoint): Json {
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname && { hostname }),
    ...(pod["spec"].nodeName && { nodeName: pod["spec"].nodeName }),
    targetRef: { kind: "Pod", namespace: pod.metadata.namespace, name: pod.metadata.name, uid: pod.metadata.uid },
  };
}

/** Endpoints stay in the slices they are in; what is new fills the gaps, then new slices. Slices left empty aren't named. */
function distribute(endpoints: readonly Json[], slices: readonly KubeJson[]): Array<{ slice?: KubeJson; content: Json[] }> {
  const missing = new Map(endpoints.map((endpoint) => [endpoint.targetRef.uid as string, endpoint]));
  const plan: Array<{ slice?: KubeJson; content: Json[] }> = slices.map((slice) => {
    const content: Json[] = [];
    for (const { targetRef } of slice["endpoints"] ?? []) {
      const endpoint = missing.get(targetRef?.uid);
      if (!endpoint) continue;
      missing.delete(targetRef.uid);
      content.push(endpoint);
    }
    return { slice, content };
  });
  const rest = [...missing.values()];
  for (const { content } of plan) content.push(...rest.splice(0, MAX_ENDPOINTS - content.length));
  while (rest.length > 0) plan.push({ content: rest.splice(0, MAX_ENDPOINTS) });
  return plan.filter(({ content }) => content.length > 0);
}
