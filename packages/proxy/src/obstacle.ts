import type { KubeObject, LabelSelector, Pod, Service } from "@shipside/kube";

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
    | "mesh-injection"
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

export interface Peer {
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

/** What is looked at. What may not be read is left empty: the cluster has the last word on all of it. */
export interface Surroundings {
  service: Service;
  /** The Service's. Undefined where it may not be read. */
  namespace?: KubeObject | undefined;
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

/** Looks for one of them. */
export type Rule = (around: Surroundings) => Obstacle | undefined;

export const refuse = (what: Obstacle["what"], sentence: string, hint?: string): Obstacle => ({
  what,
  refused: true,
  sentence,
  ...(hint !== undefined && { hint }),
});
