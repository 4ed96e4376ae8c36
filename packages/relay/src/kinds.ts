import type { KubeObject, ResourceType } from "@shipside/kube";

/** Kinds that only the relay's deployment needs. */

export interface Role extends KubeObject {
  rules: Array<{ apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] }>;
}

export interface RoleBinding extends KubeObject {
  roleRef: { apiGroup: string; kind: "Role"; name: string };
  subjects: Array<{ kind: "ServiceAccount"; name: string; namespace: string }>;
}

/** core/v1 */
export interface Event extends KubeObject {
  involvedObject: { kind?: string; name?: string };
  type?: string;
  reason?: string;
  message?: string;
}

const type = <T extends KubeObject>(group: string, plural: string, kind: string): ResourceType<T> => ({
  ...{ group, version: "v1", plural, kind, namespaced: true, shortNames: [] },
});

export const ROLES = type<Role>("rbac.authorization.k8s.io", "roles", "Role");
export const ROLE_BINDINGS = type<RoleBinding>("rbac.authorization.k8s.io", "rolebindings", "RoleBinding");
export const SERVICE_ACCOUNTS = type("", "serviceaccounts", "ServiceAccount");
export const DISRUPTION_BUDGETS = type("policy", "poddisruptionbudgets", "PodDisruptionBudget");
export const LEASES = type("coordination.k8s.io", "leases", "Lease");
export const EVENTS = type<Event>("", "events", "Event");
