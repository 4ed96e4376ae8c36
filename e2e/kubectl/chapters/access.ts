import { type Step, step } from "../step.ts";

/** Access. */
export const ACCESS: readonly Step[] = [
  step("may I", "auth can-i create pods", "yes"),
  step("a role", "create role reader --verb=get,list --resource=pods", "role.rbac.authorization.k8s.io/reader created"),
  step(
    "for somebody",
    "create rolebinding reader --role=reader --user=jane",
    "rolebinding.rbac.authorization.k8s.io/reader created",
  ),
  step("may they", "auth can-i list pods --as=jane", "yes"),
  step("may they not", "auth can-i delete pods --as=jane", "no", { exit: 1 }),
  step("they may", "get pods -l app=web -o name --as=jane", "pod/web-{hash}-{id}"),
  step(
    "they may not",
    "get secrets --as=jane",
    'Error from server (Forbidden): secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace "{ns}"',
    { exit: 1 },
  ),
  step("who am I", "auth whoami -o 'jsonpath={.status.userInfo.groups}' --as=jane --as-group=dev", /dev.*system:authenticated/, {
    since: 28,
    unscoped: true,
  }),
  step("a token", "create token default", "{token of aud, exp, iat, iss, jti, kubernetes.io, nbf, sub}", { since: 24 }),
  step("all that they may", "auth can-i --list --as=jane", /^pods \[\] \[\] \[get list\]$/m),
  step("all that I may", "auth can-i --list", /^\*\.\* \[\] \[\] \[\*\]$/m),
  step("everything", "auth can-i '*' '*'", "yes"),
  step("one object", "auth can-i delete deployments/web --as=jane", "no", { exit: 1 }),
  step("of a subresource", "auth can-i get pods --subresource=log --as=jane", "no", { exit: 1 }),
  step("of a kind that there isn't", "auth can-i get gizmos", /^yes\nWarning: the server doesn't have a resource type 'gizmos'$/),
  step("of no namespace", "auth can-i list nodes --as=jane", "no\nWarning: resource 'nodes' is not namespace scoped", { exit: 1 }),
  step(
    "for a service account",
    "create rolebinding bot --role=reader --serviceaccount={ns}:bot",
    "rolebinding.rbac.authorization.k8s.io/bot created",
  ),
  step("which may", "auth can-i list pods --as=system:serviceaccount:{ns}:bot", "yes"),
  step("rules of a file", "auth reconcile -f -", /^role\.rbac\.authorization\.k8s\.io\/reader reconciled/, {
    stdin:
      "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: reader, namespace: '{ns}'}\n" +
      "rules: [{apiGroups: [''], resources: [pods/log], verbs: [get]}]\n",
  }),
  step("and now they may", "auth can-i get pods --subresource=log --as=jane", "yes"),
  step("the role, described", "describe role reader", /^ pods\/log \[\] \[\] \[get\]$/m),
  step("the binding, described", "describe rolebinding bot", /^ ServiceAccount bot {ns}$/m),
  step("roles", "get roles,rolebindings", /^rolebinding\.rbac\.authorization\.k8s\.io\/bot Role\/reader {age}$/m),
];
