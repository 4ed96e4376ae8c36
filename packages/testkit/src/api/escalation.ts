import type { Json } from "../json.ts";
import type { KubeJson } from "../store.ts";
import { type Authorizer, type PolicyRule, ruleAllows } from "./rbac.ts";
import type { Resource } from "./resources.ts";
import { StatusError } from "./status.ts";
import type { UserInfo } from "./users.ts";

const GROUP = "rbac.authorization.k8s.io";

/**
 * Nobody grants what they don't hold themselves, unless they may `escalate` (roles) or `bind` (bindings). Throws Status 403 in the
 * words of the real server.
 */
export function checkEscalation(
  authorizer: Authorizer,
  user: UserInfo,
  resource: Resource,
  namespace: string,
  object: Json,
  old: KubeJson | undefined,
): void {
  if (resource.group !== GROUP || user.groups.includes("system:masters")) return;
  const role = resource.plural.endsWith("roles");
  const granted: readonly PolicyRule[] = role ? (object.rules ?? []) : (authorizer.roleRules(object.roleRef, namespace) ?? []);
  if (role && old && JSON.stringify(old["rules"]) === JSON.stringify(object.rules)) return;
  const name = role ? object.metadata.name : object.roleRef.name;
  const plural = role ? resource.plural : `${String(object.roleRef.kind).toLowerCase()}s`;
  const verb = role ? "escalate" : "bind";
  if (authorizer.authorize(user, { verb, namespace, group: GROUP, resource: plural, subresource: "", name }).allowed) return;
  const held = authorizer.rules(user, namespace).rules;
  const missing = granted.flatMap(singles).filter((single) => !held.some((rule) => covers(rule, single)));
  if (missing.length === 0) return;
  const groups = user.groups.map((group) => JSON.stringify(group)).join(" ");
  throw new StatusError(
    403,
    "Forbidden",
    `${resource.key} "${object.metadata.name}" is forbidden: user "${user.username}" (groups=[${groups}]) is attempting to grant RBAC ` +
      `permissions not currently held:\n${merged(missing).map(show).join("\n")}`,
    { name: object.metadata.name, group: GROUP, kind: resource.plural },
  );
}

/** A rule's smallest parts: one verb on one resource (and name), or on one path. */
function singles(rule: PolicyRule): PolicyRule[] {
  return rule.verbs.flatMap((verb) => [
    ...(rule.nonResourceURLs ?? []).map((url) => ({ verbs: [verb], nonResourceURLs: [url] })),
    ...(rule.apiGroups ?? []).flatMap((group) =>
      (rule.resources ?? []).flatMap((resource) =>
        (rule.resourceNames?.length ? rule.resourceNames : [undefined]).map((name) => ({
          verbs: [verb],
          apiGroups: [group],
          resources: [resource],
          ...(name !== undefined && { resourceNames: [name] }),
        })),
      ),
    ),
  ]);
}

function covers(held: PolicyRule, { verbs, apiGroups, resources, resourceNames, nonResourceURLs }: PolicyRule): boolean {
  const verb = verbs[0]!;
  if (nonResourceURLs) return ruleAllows(held, { verb, path: nonResourceURLs[0]! });
  const [resource = "", subresource = ""] = resources![0]!.split("/");
  return ruleAllows(held, { verb, namespace: "", group: apiGroups![0]!, resource, subresource, name: resourceNames?.[0] ?? "" });
}

/** One rule for each resource, with all of its verbs. */
function merged(rules: readonly PolicyRule[]): PolicyRule[] {
  const out = new Map<string, PolicyRule>();
  for (const { verbs, ...what } of rules) {
    const key = JSON.stringify(what);
    out.set(key, { ...what, verbs: [...new Set([...(out.get(key)?.verbs ?? []), ...verbs])] });
  }
  return [...out.values()];
}

function show({ apiGroups, resources, resourceNames, nonResourceURLs, verbs }: PolicyRule): string {
  const list = (items: readonly string[]): string => `[${items.map((item) => JSON.stringify(item)).join(" ")}]`;
  const parts = nonResourceURLs
    ? [`NonResourceURLs:${list(nonResourceURLs)}`]
    : [
        `APIGroups:${list(apiGroups!)}`,
        `Resources:${list(resources!)}`,
        ...(resourceNames ? [`ResourceNames:${list(resourceNames)}`] : []),
      ];
  return `{${[...parts, `Verbs:${list(verbs)}`].join(", ")}}`;
}
