/** What undoing takes in a cluster: of what a journal names, and of what no journal knows. Pure. */
import { portForwardRules } from "./parts.ts";
import { mergeRules, type Rule } from "./rule.ts";

/** One object, known by its name. */
export interface ObjectUse {
  /** Absent: it is in no namespace. */
  namespace?: string | undefined;
  group: string;
  /** `deployments` */
  resource: string;
  name: string;
}

/** Its record is looked for on it before it is deleted. */
export const removeObjectRules = ({ name, ...object }: ObjectUse): Rule[] => [
  { ...placed(object), verbs: ["get", "delete"], names: [name], why: "what a session made here and could not remove" },
];

export const revertObjectRules = ({ name, ...object }: ObjectUse): Rule[] => [
  { ...placed(object), verbs: ["get", "patch"], names: [name], why: "what a session changed here and could not put back" },
];

const placed = ({ namespace, group, resource }: Omit<ObjectUse, "name">): Pick<Rule, "namespace" | "group" | "resource"> => ({
  ...(namespace !== undefined && { namespace }),
  group,
  resource,
});

export interface InterceptUse {
  namespace: string;
  /** Absent: any, because none is known before the cluster is asked. */
  service?: string;
  /** The relay's Deployment; absent: any. */
  relay?: string;
}

/** Ending an intercept whose process is gone: see `endIntercept` of the proxy package. */
export function endInterceptRules({ namespace, service, relay }: InterceptUse): Rule[] {
  const kept = "a relay that runs is left as it is, and so is its Service: whether others use it can't be asked";
  return [
    {
      ...{
        namespace,
        group: "",
        resource: "services",
        verbs: ["get", "patch"],
        ...(service !== undefined && { names: [service] }),
      },
      why: "the Service, put back",
    },
    {
      ...{ namespace, group: "apps", resource: "deployments", verbs: ["get", "delete"] },
      ...(relay !== undefined && { names: [relay] }),
      why: "its relay, removed",
    },
    { namespace, group: "", resource: "secrets", verbs: ["get"], why: "what the relay asks of who commands it" },
    { namespace, group: "", resource: "pods", verbs: ["list"], why: "the relay's pods" },
    ...portForwardRules(namespace).map((rule) => ({ ...rule, why: "the relay, asked who uses it and to end", optional: kept })),
  ];
}

/** `clean` where it is told a namespace: relays and intercepts of this user that no journal knows. */
export const strayRelayRules = (namespace: string): Rule[] =>
  mergeRules([
    { namespace, group: "apps", resource: "deployments", verbs: ["list", "delete"], why: "relays of yours that no journal knows" },
    {
      ...{ namespace, group: "", resource: "services", verbs: ["list"], why: "intercepts of yours that no journal knows" },
      optional: "those are not found",
    },
    ...endInterceptRules({ namespace }),
  ]);
