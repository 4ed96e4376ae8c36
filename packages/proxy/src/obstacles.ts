import { parseQuantity } from "@shipside/core";
import type { KubeObject, LabelSelector, Pod, Service } from "@shipside/kube";
import { RESERVED_PORTS } from "@shipside/relay";
import { keepsClients, numbersOf } from "./ports.ts";

/** Something special about a Service. `refused`: it can't be intercepted without harm; otherwise it is handled, and the user is told. */
export interface Obstacle {
  what:
    | "external-name"
    | "no-selector"
    | "no-ports"
    | "headless-pods"
    | "headless"
    | "sctp"
    | "reserved-port"
    | "internal-local"
    | "external-local"
    | "session-affinity"
    | "mesh"
    | "network-policy"
    | "quota"
    | "limit-range"
    | "ending";
  refused: boolean;
  sentence: string;
  hint?: string;
}

/** networking.k8s.io/v1 */
export interface NetworkPolicy extends KubeObject {
  spec: {
    podSelector?: LabelSelector;
    policyTypes?: string[];
    ingress?: ReadonlyArray<{ from?: readonly Peer[]; ports?: readonly unknown[] }>;
    egress?: ReadonlyArray<{ to?: readonly Peer[]; ports?: readonly unknown[] }>;
  };
}

interface Peer {
  podSelector?: LabelSelector;
  namespaceSelector?: LabelSelector;
  ipBlock?: object;
}

export interface ResourceQuota extends KubeObject {
  spec?: { scopes?: string[]; scopeSelector?: object };
  status?: { hard?: Record<string, string>; used?: Record<string, string> };
}

export interface LimitRange extends KubeObject {
  spec: { limits: ReadonlyArray<{ type: string; min?: Record<string, string>; max?: Record<string, string> }> };
}

type FullService = Service & {
  spec: { internalTrafficPolicy?: "Cluster" | "Local"; externalTrafficPolicy?: "Cluster" | "Local" };
};

/** What is looked at. What may not be read is left empty: the cluster has the last word on all of it. */
export interface Surroundings {
  service: Service;
  /** Those that the Service selects. */
  pods: readonly Pod[];
  policies: readonly NetworkPolicy[];
  quotas: readonly ResourceQuota[];
  limits: readonly LimitRange[];
  relay: {
    labels: Readonly<Record<string, string>>;
    replicas: number;
    /** Of each. */
    requests: Resources;
    limits: Resources;
  };
}

type Resources = Readonly<Record<"cpu" | "memory", string>>;

type Rule = (around: Surroundings) => Obstacle | undefined;

const refuse = (what: Obstacle["what"], sentence: string, hint?: string): Obstacle => ({
  what,
  refused: true,
  sentence,
  ...(hint !== undefined && { hint }),
});

const ending: Rule = ({ service: { metadata } }) =>
  metadata.deletionTimestamp === undefined ? undefined : refuse("ending", "it is being deleted");

const externalName: Rule = ({ service: { spec } }) =>
  spec.type !== "ExternalName"
    ? undefined
    : refuse(
        "external-name",
        `it is a DNS alias of ${spec.externalName} (ExternalName): no traffic passes through it`,
        "intercept the Service that it leads to",
      );

const noSelector: Rule = ({ service: { spec } }) =>
  spec.type === "ExternalName" || Object.keys(spec.selector ?? {}).length > 0
    ? undefined
    : refuse(
        "no-selector",
        "it has no selector: somebody else writes its endpoints, and there is nothing to switch",
        "`shipside expose` makes a Service of its own",
      );

const noPorts: Rule = ({ service: { spec } }) =>
  spec.type === "ExternalName" || (spec.ports?.length ?? 0) > 0 ? undefined : refuse("no-ports", "it has no ports");

const headless: Rule = ({ service, pods }) => {
  if (service.spec.clusterIP !== "None") return undefined;
  const named = pods.find(({ spec }) => spec.subdomain === service.metadata.name && spec.hostname !== undefined);
  if (named)
    return refuse(
      "headless-pods",
      `it gives pods names of their own (${named.spec.hostname}.${service.metadata.name}), which would vanish while it is intercepted`,
      "intercept the Service with a ClusterIP that leads to the same pods, where there is one",
    );
  return {
    what: "headless",
    refused: false,
    sentence: "it is headless: a client that holds a pod's address comes through the intercept when it asks DNS again",
  };
};

const sctp: Rule = ({ service: { spec } }) => {
  const port = spec.ports?.find(({ protocol }) => protocol === "SCTP");
  return port && refuse("sctp", `its port ${port.port} is SCTP, which the relay can't carry`);
};

const reservedPort: Rule = ({ service: { spec } }) => {
  const port = spec.ports?.find(({ port: number, targetPort }) => RESERVED_PORTS.includes(Number(targetPort ?? number)));
  return (
    port &&
    refuse(
      "reserved-port",
      `its target port ${port.targetPort ?? port.port} is one that the relay needs for itself`,
      `target ports other than ${RESERVED_PORTS.join(" and ")} work`,
    )
  );
};

const internalLocal: Rule = ({ service }) =>
  (service as FullService).spec.internalTrafficPolicy !== "Local"
    ? undefined
    : refuse(
        "internal-local",
        "its internalTrafficPolicy is Local: callers on nodes without a relay's pod would reach nothing",
        "intercept it where it is Cluster, for instance in a test environment",
      );

const externalLocal: Rule = ({ service }) =>
  (service as FullService).spec.externalTrafficPolicy !== "Local"
    ? undefined
    : refuse(
        "external-local",
        "its externalTrafficPolicy is Local: traffic from outside to nodes without a relay's pod would be lost",
        "intercept the Service behind it, or make a second one with a ClusterIP for the same pods",
      );

const sessionAffinity: Rule = ({ service, pods }) => {
  if (!keepsClients(service)) return undefined;
  for (const { targetPort } of service.spec.ports ?? []) {
    if (typeof targetPort !== "string") continue;
    const numbers = numbersOf(targetPort, pods);
    if (numbers.length === 1) continue;
    const known =
      numbers.length === 0 ? "no pod says which number" : `its pods have several numbers (${numbers.join(", ")}) for what`;
    return refuse(
      "session-affinity",
      `its sessionAffinity is ClientIP, for which the relay must know its pods' port, and ${known} ${targetPort} is`,
      "intercept it when its pods are there and agree, or where the target port is a number",
    );
  }
  return {
    what: "session-affinity",
    refused: false,
    sentence:
      "its sessionAffinity is ClientIP: the relay keeps each client at one pod, by its address; which one may change now, when pods come or go, and at the end",
  };
};

const MESH = /^(istio-proxy|linkerd-proxy|consul-dataplane|kuma-sidecar|aws-appmesh-envoy)$/;

const mesh: Rule = ({ pods }) => {
  for (const { metadata, spec } of pods) {
    const sidecar = [...spec.containers, ...(spec.initContainers ?? [])].find(({ name }) => MESH.test(name));
    if (sidecar)
      return refuse(
        "mesh",
        `its pods are in a service mesh (container ${sidecar.name} of ${metadata.name}): callers speak to that sidecar in a way that the relay can't read`,
        "intercept a Service outside the mesh",
      );
  }
  return undefined;
};

const networkPolicy: Rule = ({ service, pods, policies, relay }) => {
  for (const { metadata, spec } of policies) {
    const target = pods.some((pod) => selects(spec.podSelector, pod.metadata.labels));
    const ours = selects(spec.podSelector, relay.labels);
    const ingress = spec.policyTypes?.includes("Ingress") ?? true;
    const egress = spec.policyTypes?.includes("Egress") ?? spec.egress !== undefined;
    const name = `NetworkPolicy ${metadata.name}`;
    if (target && ingress && !spec.ingress?.some(({ from }) => !from?.length || from.some((peer) => admits(peer, relay.labels))))
      return refuse(
        "network-policy",
        `${name} keeps the relay from the pods of ${service.metadata.name}`,
        "admit pods with the label app.kubernetes.io/managed-by=shipside in its ingress rules",
      );
    if (
      ours &&
      ((ingress && !spec.ingress?.some(({ from }) => !from?.length || from.some(anyPod))) ||
        (egress && !spec.egress?.some(({ to }) => !to?.length)))
    )
      return refuse(
        "network-policy",
        `${name} selects the relay's pods too, and may keep callers from them, or them from the pods`,
        "leave pods with the label app.kubernetes.io/managed-by=shipside out of its podSelector, or add a policy that admits them",
      );
  }
  return undefined;
};

const anyPod = ({ podSelector, namespaceSelector, ipBlock }: Peer): boolean =>
  !ipBlock &&
  (isEmpty(podSelector) || podSelector === undefined) &&
  (namespaceSelector === undefined || isEmpty(namespaceSelector));

/** Of the same namespace; a rule for other namespaces may be for ours by its labels, which aren't looked at. */
const admits = ({ podSelector, namespaceSelector, ipBlock }: Peer, labels: Readonly<Record<string, string>>): boolean =>
  !ipBlock &&
  (namespaceSelector === undefined || isEmpty(namespaceSelector)) &&
  (podSelector === undefined || selects(podSelector, labels));

const isEmpty = (selector: LabelSelector | undefined): boolean =>
  selector !== undefined && Object.keys(selector.matchLabels ?? {}).length === 0 && (selector.matchExpressions?.length ?? 0) === 0;

function selects(selector: LabelSelector | undefined, labels: Readonly<Record<string, string>> = {}): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector ?? {};
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === "Exists") return value !== undefined;
      if (operator === "DoesNotExist") return value === undefined;
      const among = value !== undefined && values.includes(value);
      return operator === "In" ? among : !among;
    })
  );
}

const quota: Rule = ({ quotas, relay: { replicas, requests, limits } }) => {
  const needed: Record<string, readonly [each: string, also: readonly string[]]> = {
    pods: ["1", ["count/pods"]],
    "requests.cpu": [requests.cpu, ["cpu"]],
    "requests.memory": [requests.memory, ["memory"]],
    "limits.cpu": [limits.cpu, []],
    "limits.memory": [limits.memory, []],
  };
  for (const { metadata, spec, status } of quotas) {
    // Quotas of some pods only (by priority and so on) may not be about these.
    if (spec?.scopes?.length || spec?.scopeSelector) continue;
    for (const [key, [each, also]] of Object.entries(needed)) {
      const name = [key, ...also].find((known) => status?.hard?.[known] !== undefined);
      if (name === undefined) continue;
      const sum = quantity(status?.used?.[name] ?? "0") + replicas * quantity(each);
      // A sum of decimal fractions may miss by a hair.
      if (sum > quantity(status!.hard![name]!) * (1 + 1e-9))
        return refuse(
          "quota",
          `ResourceQuota ${metadata.name} has no room for the relay: ${replicas} pods need ${replicas > 1 ? `${replicas} × ` : ""}${each} of ${name}, and ${status?.used?.[name] ?? 0} of ${status!.hard![name]} are used`,
          "free some, or have the quota raised",
        );
    }
  }
  return undefined;
};

const limitRange: Rule = ({ limits: ranges, relay: { requests, limits } }) => {
  for (const { metadata, spec } of ranges) {
    for (const { type, min = {}, max = {} } of spec.limits) {
      if (type !== "Container" && type !== "Pod") continue;
      for (const name of ["cpu", "memory"] as const) {
        const low = min[name] !== undefined && quantity(requests[name]) < quantity(min[name]);
        const high = max[name] !== undefined && quantity(limits[name]) > quantity(max[name]);
        if (!low && !high) continue;
        const wants = low ? `at least ${min[name]}` : `at most ${max[name]}`;
        return refuse(
          "limit-range",
          `LimitRange ${metadata.name} wants ${wants} ${name} for a ${type.toLowerCase()}, and the relay has ${low ? requests[name] : limits[name]}`,
          "intercept in a namespace without that limit",
        );
      }
    }
  }
  return undefined;
};

/** One that can't be read is no limit. */
const quantity = (text: string): number => parseQuantity(text) ?? Number.NaN;

const RULES: readonly Rule[] = [
  ending,
  externalName,
  noSelector,
  noPorts,
  headless,
  sctp,
  reservedPort,
  internalLocal,
  externalLocal,
  sessionAffinity,
  mesh,
  networkPolicy,
  quota,
  limitRange,
];

/** All that is special about a Service, refusals first. */
export function findObstacles(around: Surroundings): Obstacle[] {
  return RULES.flatMap((rule) => rule(around) ?? []).sort((a, b) => Number(b.refused) - Number(a.refused));
}
