import type { LabelSelector } from "@shipside/kube";
import { type Peer, type Rule, refuse } from "./obstacle.ts";

/** NetworkPolicies that would keep the relay from the pods, or callers from the relay. */
export const networkPolicy: Rule = ({ service, pods, policies, relay }) => {
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
