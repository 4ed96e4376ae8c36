import type { ResourceType } from "./objects.ts";

/** What a request does, in RBAC's words (https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb). */
export interface Action {
  verb: string;
  type: ResourceType;
  namespace?: string | undefined;
  name?: string | undefined;
  subresource?: string | undefined;
}

export interface MissingRule {
  /** `resource` or `resource/subresource`. */
  resource: string;
  group: string;
  verb: string;
  /** Undefined: at the cluster scope, so a ClusterRole is wanted. */
  namespace?: string;
  /** One entry of `rules:` as YAML. */
  rule: string;
}

export function missingRule({ verb, type, namespace, subresource }: Action): MissingRule {
  const resource = subresource ? `${type.plural}/${subresource}` : type.plural;
  const rule = `- apiGroups: [${JSON.stringify(type.group)}]\n  resources: [${JSON.stringify(resource)}]\n  verbs: [${JSON.stringify(verb)}]`;
  return { resource, group: type.group, verb, rule, ...(type.namespaced && namespace !== undefined && { namespace }) };
}

/**
 * What RBAC refuses and whom, if it says so; undefined where it was not RBAC that refused (an admission policy, a quota). Who asks for a pod's exec, attach or
 * portforward by a WebSocket, which is a GET, has to have `create` as well from Kubernetes 1.35 on (the feature AuthorizePodWebsocketUpgradeCreatePermission); without
 * it the refusal has RBAC's own words alone, `pods "x" is forbidden: `, which are none but for roles that a binding names in vain: `RBAC: role… not found`.
 */
export function parseRefusal(message: string, { subresource = "" }: Action): { user?: string; verb: string } | undefined {
  const [, user, verb] = /User "((?:[^"\\]|\\.)*)" cannot (\S+) resource/.exec(message) ?? [];
  if (user !== undefined && verb !== undefined) return { user, verb };
  const isUpgrade = ["exec", "attach", "portforward"].includes(subresource);
  return isUpgrade && / is forbidden:\s*(RBAC: |$)/.test(message) ? { verb: "create" } : undefined;
}
