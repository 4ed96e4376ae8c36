/** What commands have in common: each function is one thing that is done in a cluster, and the rules that it takes. Pure. */
import { parseReference, WORKLOAD_TYPES } from "@shipside/kube";
import type { Rule } from "./rule.ts";

const DISCOVERY = "discovery.k8s.io";

/** The services of a namespace, what serves them, and a stream to their pods: see the tunnel package. */
export function tunnelRules(namespace: string): Rule[] {
  const why = "the services, what serves them, and how both change";
  return [
    { namespace, group: "", resource: "services", verbs: ["list", "watch"], why },
    { namespace, group: DISCOVERY, resource: "endpointslices", verbs: ["list", "watch"], why },
    ...portForwardRules(namespace),
    {
      namespace,
      group: "",
      resource: "pods",
      verbs: ["get"],
      why: "whether a pod that doesn't answer has ended",
      optional: "connections to a pod that has just ended wait longer before another pod is tried",
    },
    {
      namespace,
      group: "",
      resource: "namespaces",
      verbs: ["get"],
      names: [namespace],
      why: "whether the namespace exists",
      optional: "a namespace that doesn't exist looks like one without services",
    },
  ];
}

/** A command in namespaces of its own, besides its teleport. */
export const namespacesRules = (): Rule[] => [
  {
    ...{ namespace: "default", group: "", resource: "services", verbs: ["get"], names: ["kubernetes"] },
    why: "the API server's address in the cluster",
    optional: "the command knows the API server by its name alone",
  },
];

/** Of the downward API: for variables as for files. */
export const NODES_RULE: Rule = {
  ...{ group: "", resource: "nodes", verbs: ["get"], why: "limits that aren't set are the node's" },
  optional: "what tells of a limit that isn't set is left out",
};

/** SPDY asks for `create`; a WebSocket for `get` and, since Kubernetes 1.36 (KEP-4006), for `create` too. */
export function portForwardRules(namespace: string): Rule[] {
  const rule = { namespace, group: "", resource: "pods/portforward" };
  return [
    { ...rule, verbs: ["create"], why: "connections to the pods" },
    {
      ...rule,
      verbs: ["get"],
      why: "the same by WebSocket",
      optional: "no connection where a load balancer or proxy on the way lets only WebSockets through",
    },
  ];
}

/** A command in a container travels by WebSocket, but for a copy from nearby where SPDY gets through: see `portForwardRules`. */
export const execRules = (namespace: string, why: string): Rule[] => [
  { namespace, group: "", resource: "pods/exec", verbs: ["create", "get"], why },
];

export interface WorkloadUse {
  namespace: string;
  /** As on the command line. */
  workload: string;
  /** It is watched besides. */
  follow: boolean;
}

/** Finding a workload by its name. Throws `KUBE_KIND_UNKNOWN`, `KUBE_OPTION_INVALID`. */
export function workloadRules({ namespace, workload, follow }: WorkloadUse): Rule[] {
  const { type, name } = parseReference(workload);
  const verbs = ["get", ...(follow ? ["list", "watch"] : [])];
  const why = follow ? "the workload, and how it changes" : "the workload";
  return (type ? [type] : WORKLOAD_TYPES).map(({ group, plural, kind }) => ({
    ...{ namespace, group, resource: plural, verbs, names: [name], why },
    ...(!type && {
      optional: `"${name}" is not looked for among ${plural} (\`${kind.toLowerCase()}/${name}\` needs this kind alone)`,
    }),
  }));
}

/** What stands between a workload and its pods. `without`: what is missing where a cron job's may not be read; undefined: they must be. */
export function ownerRules(namespace: string, workload: string, without: string | undefined): Rule[] {
  const { type } = parseReference(workload);
  if (type?.kind === "CronJob")
    return [
      {
        ...{ namespace, group: "batch", resource: "jobs", verbs: ["list"], why: "which pods are the cron job's" },
        ...(without !== undefined && { optional: without }),
      },
    ];
  if (type !== undefined && type.kind !== "Deployment") return [];
  return [
    {
      ...{ namespace, group: "apps", resource: "replicasets", verbs: ["list"], why: "which pods are the deployment's" },
      optional: "pods are found by their labels alone",
    },
  ];
}

export interface EnvUse extends WorkloadUse {
  from: "spec" | "running";
  /** What may not be read is left out. */
  skipForbidden: boolean;
  /** Values of Secrets are wanted. */
  secrets: boolean;
}

/** A workload's env, besides the workload itself: see the envexport package. */
export function envRules({ namespace, workload, follow, from, skipForbidden, secrets }: EnvUse): Rule[] {
  const { type } = parseReference(workload);
  const watching = follow ? ["list", "watch"] : [];
  const left = (lost: string, when = skipForbidden): { optional?: string } => (when ? { optional: lost } : {});
  const running = from === "running";
  const ofPod = "values that only a running pod has";
  const rules: Rule[] = [
    {
      ...{ namespace, group: "", resource: "configmaps", verbs: ["get", ...watching], why: "variables from ConfigMaps" },
      ...left("variables from ConfigMaps are left out"),
    },
    {
      ...{ namespace, group: "", resource: "secrets", verbs: ["get", ...watching], why: "variables from Secrets" },
      ...left("variables from Secrets are left out", skipForbidden || !secrets),
    },
    {
      ...{ namespace, group: "", resource: "services", verbs: ["list", ...(follow ? ["watch"] : [])] },
      why: "variables for the namespace's services (…_SERVICE_HOST)",
      ...left("variables for the namespace's services are left out"),
    },
  ];
  if (namespace !== "default")
    rules.push({
      ...{ namespace: "default", group: "", resource: "services", verbs: ["get"], names: ["kubernetes"] },
      why: "the variables KUBERNETES_SERVICE_…",
      optional: "those variables are left out",
    });
  if (type?.kind !== "Pod") {
    rules.push({
      ...{ namespace, group: "", resource: "pods", verbs: ["list", ...(follow ? ["watch"] : [])] },
      why: running ? "the pod to ask" : ofPod,
      ...(!running && { optional: `${ofPod} (status.podIP, limits that aren't set) can't be told` }),
    });
    rules.push(...ownerRules(namespace, workload, running ? undefined : `${ofPod} can't be told`));
  }
  rules.push(NODES_RULE);
  if (running) rules.push(...execRules(namespace, "what the container's process has"));
  return rules;
}
