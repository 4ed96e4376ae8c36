import type { Rule } from "./rule.ts";

const GROUP = "rbac.authorization.k8s.io";

export interface RoleRule {
  apiGroups: string[];
  resources: string[];
  resourceNames?: string[];
  verbs: string[];
}

/** A Role, or a ClusterRole (then without a namespace). */
export interface RoleObject {
  apiVersion: string;
  kind: "Role" | "ClusterRole";
  metadata: { name: string; namespace?: string };
  rules: RoleRule[];
}

const toRoleRule = ({ group, resource, names, verbs }: Rule): RoleRule => ({
  apiGroups: [group],
  resources: [resource],
  ...(names && { resourceNames: [...names] }),
  verbs: [...verbs],
});

/** A Role for each namespace, and a ClusterRole where a rule is of the cluster. `name` is that of each. */
export const rolesFor = (rules: readonly Rule[], name: string): RoleObject[] =>
  placesOf(rules).map(([namespace, own]) => ({
    apiVersion: `${GROUP}/v1`,
    kind: namespace === undefined ? "ClusterRole" : "Role",
    metadata: { name, ...(namespace !== undefined && { namespace }) },
    rules: own.map(toRoleRule),
  }));

/** The same as YAML for `kubectl apply`, each rule with what it is for, and the command that binds it. */
export function renderRoles(rules: readonly Rule[], name: string): string {
  return placesOf(rules)
    .map(([namespace, own]) => {
      const cluster = namespace === undefined;
      const bind = cluster
        ? `kubectl create clusterrolebinding ${name} --clusterrole=${name} --user=USER`
        : `kubectl create rolebinding ${name} --role=${name} --namespace=${namespace} --user=USER`;
      return [
        `# To bind it: ${bind}`,
        `apiVersion: ${GROUP}/v1`,
        `kind: ${cluster ? "ClusterRole" : "Role"}`,
        "metadata:",
        `  name: ${quote(name)}`,
        ...(cluster ? [] : [`  namespace: ${quote(namespace)}`]),
        "rules:",
        ...own.flatMap(ruleLines),
      ].join("\n");
    })
    .join("\n---\n")
    .concat("\n");
}

function ruleLines(rule: Rule): string[] {
  const { apiGroups, resources, resourceNames, verbs } = toRoleRule(rule);
  const list = (values: readonly string[]): string => `[${values.map(quote).join(", ")}]`;
  return [
    `  # ${rule.why}${rule.optional === undefined ? "" : `; optional: without it ${rule.optional}`}`,
    `  - apiGroups: ${list(apiGroups)}`,
    `    resources: ${list(resources)}`,
    ...(resourceNames ? [`    resourceNames: ${list(resourceNames)}`] : []),
    `    verbs: ${list(verbs)}`,
  ];
}

/** Namespaces in the order in which they are first named, the cluster last. */
function placesOf(rules: readonly Rule[]): Array<[namespace: string | undefined, rules: Rule[]]> {
  const places = new Map<string | undefined, Rule[]>();
  for (const rule of rules) places.set(rule.namespace, [...(places.get(rule.namespace) ?? []), rule]);
  return [...places].sort(([a], [b]) => Number(a === undefined) - Number(b === undefined));
}

/** A JSON string is a YAML one. */
const quote = (text: string): string => JSON.stringify(text);
