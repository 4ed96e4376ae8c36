/** What a relay in the cluster takes, and what is built on one: see the relay and proxy packages. Pure. */
import { portForwardRules, workloadRules } from "./parts.ts";
import type { Rule } from "./rule.ts";

const RBAC = "rbac.authorization.k8s.io";

export interface RelayUse {
  namespace: string;
  replicas: 1 | 2;
}

/** Its objects have made-up names: rules can't name them. */
export function relayRules({ namespace, replicas }: RelayUse): Rule[] {
  const why = "the relay, our program in the cluster";
  const itself = "the relay can't end by itself when this machine is gone, and stays until somebody removes it";
  const several: Rule[] = [
    {
      ...{ namespace, group: "", resource: "pods", verbs: ["delete"], why: "one of its pods whose node is lost" },
      optional: "callers are sent to it until the cluster itself has noticed, 40 s or more",
    },
    { namespace, group: "policy", resource: "poddisruptionbudgets", verbs: ["create"], why: "one of its two pods always stays" },
    {
      ...{ namespace, group: "coordination.k8s.io", resource: "leases", verbs: ["create", "get", "patch"] },
      why: "its pods know of each other",
      optional: itself,
    },
  ];
  return [
    { namespace, group: "apps", resource: "deployments", verbs: ["create", "get", "list", "patch", "delete"], why },
    {
      ...{ namespace, group: "apps", resource: "deployments", verbs: ["watch"], why: "whether its pods can be made at all" },
      optional: "that they can't be is told only when the wait for them is over",
    },
    { namespace, group: "", resource: "configmaps", verbs: ["create"], why: `${why}: its text` },
    { namespace, group: "", resource: "secrets", verbs: ["create", "get"], why: `${why}: what it asks of who commands it` },
    { namespace, group: "", resource: "pods", verbs: ["list", "watch"], why: `${why}: its pods` },
    ...portForwardRules(namespace),
    ...["roles", "rolebindings"].map((resource) => ({
      ...{ namespace, group: RBAC, resource, verbs: ["create"], why: "the relay's own rights, to remove and restore" },
      optional: itself,
    })),
    {
      ...{ namespace, group: "", resource: "serviceaccounts", verbs: ["create"], why: "whose rights those are" },
      optional: itself,
    },
    ...(replicas > 1 ? several : []),
  ];
}

export interface ExposeUse {
  namespace: string;
  service: string;
  /** Whose ports are reused. */
  workload?: string | undefined;
}

export const exposeRules = ({ namespace, service, workload }: ExposeUse): Rule[] => [
  { namespace, group: "", resource: "services", verbs: ["get"], names: [service], why: "whether the name is taken" },
  { namespace, group: "", resource: "services", verbs: ["create"], why: "the Service by which this machine is called" },
  ...relayRules({ namespace, replicas: 1 }),
  ...(workload === undefined ? [] : workloadRules({ namespace, workload, follow: false })),
];

export function interceptRules({ namespace, service }: Omit<ExposeUse, "workload">): Rule[] {
  const good = "what would stand in the relay's way is found out only when it does";
  const obstacle = (group: string, resource: string): Rule => ({
    ...{ namespace, group, resource, verbs: ["list"], why: "whether the relay has room and is let through", optional: good },
  });
  return [
    {
      ...{ namespace, group: "", resource: "services", verbs: ["get", "list", "watch", "patch"], names: [service] },
      why: "the Service, switched to the relay and put back",
    },
    {
      namespace,
      group: "",
      resource: "services",
      verbs: ["create", "delete"],
      why: "by which the relay reaches the Service's own pods",
    },
    { namespace, group: "", resource: "configmaps", verbs: ["get"], why: "what a relay that is there already carries" },
    {
      ...{
        namespace,
        group: "discovery.k8s.io",
        resource: "endpointslices",
        verbs: ["list"],
        why: "whether the cluster has seen the switch",
      },
      optional: "it isn't waited for",
    },
    obstacle("networking.k8s.io", "networkpolicies"),
    obstacle("", "resourcequotas"),
    obstacle("", "limitranges"),
    ...relayRules({ namespace, replicas: 2 }),
  ];
}
