import type { KubeJson, Store } from "../store.ts";
import type { RequestInfo } from "./request-info.ts";
import { labelSelectorRequirements, matchesLabels } from "./selectors.ts";
import { StatusError } from "./status.ts";
import type { UserInfo } from "./users.ts";

export interface PolicyRule {
  verbs: readonly string[];
  apiGroups?: readonly string[];
  resources?: readonly string[];
  resourceNames?: readonly string[];
  nonResourceURLs?: readonly string[];
}

/** What somebody wants to do: a resource request, or a path. */
export type Attributes = ResourceAttributes | { verb: string; path: string };

export interface ResourceAttributes {
  verb: string;
  namespace: string;
  group: string;
  resource: string;
  subresource: string;
  name: string;
}

export interface Decision {
  allowed: boolean;
  reason: string;
  /** What could not be evaluated: a binding's role that doesn't exist. */
  errors: readonly string[];
}

interface Subject {
  kind: string;
  name: string;
  namespace?: string;
}

interface Grant {
  rules: readonly PolicyRule[];
  subject: Subject;
  /** For the reason: `RoleBinding "read/default" of Role "reader"`. */
  by: string;
}

export interface Authorizer {
  authorize(user: UserInfo, attributes: Attributes): Decision;
  /** Every rule that applies to a user in a namespace ("" for cluster-wide ones only). */
  rules(user: UserInfo, namespace: string): { rules: PolicyRule[]; errors: string[] };
  /** The rules of a binding's roleRef, or undefined where there is no such role. */
  roleRules(roleRef: { kind: string; name: string }, namespace: string): readonly PolicyRule[] | undefined;
}

const G = ".rbac.authorization.k8s.io";

/** Role-based access control over the Roles and bindings in the store (rbac.authorization.k8s.io/v1). `system:masters` may do all. */
export function createAuthorizer(store: Store): Authorizer {
  const roleRules: Authorizer["roleRules"] = ({ kind, name }, namespace) => {
    if (kind === "Role")
      return store.get(`roles${G}`, namespace, name)?.["rules"] ?? (store.get(`roles${G}`, namespace, name) && []);
    const role = store.get(`clusterroles${G}`, undefined, name);
    if (!role) return undefined;
    const selectors: Array<Parameters<typeof labelSelectorRequirements>[0]> = role["aggregationRule"]?.clusterRoleSelectors ?? [];
    if (selectors.length === 0) return role["rules"] ?? [];
    return store
      .list(`clusterroles${G}`)
      .filter((other) =>
        selectors.some((selector) => matchesLabels(labelSelectorRequirements(selector) ?? [], other.metadata.labels)),
      )
      .flatMap((other): PolicyRule[] => other["rules"] ?? [])
      .concat(role["rules"] ?? []);
  };

  function* grants(user: UserInfo, namespace: string, errors: string[]): Generator<Grant> {
    const bindings: Array<[string, KubeJson]> = store
      .list(`clusterrolebindings${G}`)
      .map((binding) => ["ClusterRoleBinding", binding]);
    if (namespace) for (const binding of store.list(`rolebindings${G}`, namespace)) bindings.push(["RoleBinding", binding]);
    for (const [kind, binding] of bindings) {
      const subject = (binding["subjects"] as Subject[] | undefined)?.find((candidate) => applies(candidate, user, namespace));
      if (!subject) continue;
      const rules = roleRules(binding["roleRef"], namespace);
      if (!rules) {
        errors.push(`${String(binding["roleRef"].kind).toLowerCase()}${G} "${binding["roleRef"].name}" not found`);
        continue;
      }
      const name = kind === "RoleBinding" ? `${binding.metadata.name}/${namespace}` : binding.metadata.name;
      yield { rules, subject, by: `${kind} "${name}" of ${binding["roleRef"].kind} "${binding["roleRef"].name}"` };
    }
  }

  return {
    roleRules,
    authorize(user, attributes) {
      if (user.groups.includes("system:masters")) return { allowed: true, reason: "", errors: [] };
      const errors: string[] = [];
      const namespace = "path" in attributes ? "" : attributes.namespace;
      for (const { rules, subject, by } of grants(user, namespace, errors)) {
        if (!rules.some((rule) => ruleAllows(rule, attributes))) continue;
        const who =
          subject.kind === "ServiceAccount"
            ? `${subject.kind} "${subject.name}/${subject.namespace}"`
            : `${subject.kind} "${subject.name}"`;
        return { allowed: true, reason: `RBAC: allowed by ${by} to ${who}`, errors };
      }
      return { allowed: false, reason: errors.length > 0 ? `RBAC: ${aggregate(errors)}` : "", errors };
    },
    rules(user, namespace) {
      const errors: string[] = [];
      return { rules: [...grants(user, namespace, errors)].flatMap((grant) => grant.rules), errors };
    },
  };
}

const aggregate = (errors: readonly string[]): string => (errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`);

function applies(subject: Subject, user: UserInfo, namespace: string): boolean {
  switch (subject.kind) {
    case "User":
      return subject.name === user.username;
    case "Group":
      return user.groups.includes(subject.name);
    case "ServiceAccount":
      return user.username === `system:serviceaccount:${subject.namespace || namespace}:${subject.name}`;
    default:
      return false;
  }
}

const has = (list: readonly string[] | undefined, ...values: string[]): boolean =>
  list?.some((item) => values.includes(item)) ?? false;

export function ruleAllows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb, "*")) return false;
  if ("path" in attributes) {
    return (rule.nonResourceURLs ?? []).some((url) =>
      url.endsWith("*") ? attributes.path.startsWith(url.slice(0, -1)) : url === attributes.path,
    );
  }
  if (!has(rule.apiGroups, attributes.group, "*")) return false;
  const { resource, subresource } = attributes;
  const wanted = subresource ? [`${resource}/${subresource}`, `*/${subresource}`, "*"] : [resource, "*"];
  return has(rule.resources, ...wanted) && (!rule.resourceNames?.length || rule.resourceNames.includes(attributes.name));
}

export function attributesOf(info: RequestInfo): Attributes {
  if (!info.isResource) return { verb: info.verb, path: info.path };
  const { verb, namespace, group, resource, subresource, name, selected } = info;
  return { verb, namespace, group, resource, subresource, name: name || selected };
}

/** Status 403 in the words of the real server. */
export function forbidden(user: UserInfo, attributes: Attributes, reason: string): StatusError {
  const suffix = reason ? `: ${reason}` : "";
  if ("path" in attributes) {
    return new StatusError(
      403,
      "Forbidden",
      `forbidden: User "${user.username}" cannot ${attributes.verb} path "${attributes.path}"${suffix}`,
      {},
    );
  }
  const { verb, namespace, group, resource, subresource } = attributes;
  const what = subresource ? `${resource}/${subresource}` : resource;
  const where = namespace ? `in the namespace "${namespace}"` : "at the cluster scope";
  return forbiddenFor(
    attributes,
    `User "${user.username}" cannot ${verb} resource "${what}" in API group "${group}" ${where}${suffix}`,
  );
}

/** What a handler of a resource refuses, whatever the reason, which may be empty (`NewForbidden` of apimachinery). */
export function forbiddenFor({ group, resource, name }: ResourceAttributes, why: string): StatusError {
  const subject = `${group ? `${resource}.${group}` : resource}${name ? ` "${name}"` : ""}`;
  return new StatusError(403, "Forbidden", `${subject} is forbidden: ${why}`, {
    ...(name && { name }),
    ...(group && { group }),
    kind: resource,
  });
}
