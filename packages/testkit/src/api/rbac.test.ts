import { expect, test } from "vitest";
import { createStore } from "../memory-store.ts";
import { type Attributes, attributesOf, createAuthorizer, forbidden, type PolicyRule, ruleAllows } from "./rbac.ts";
import { parseRequest } from "./request-info.ts";
import { serviceAccountUser, type UserInfo } from "./users.ts";

const G = "rbac.authorization.k8s.io";
const jane: UserInfo = { username: "jane", groups: ["dev", "system:authenticated"] };
const wants = (verb: string, resource: string, namespace = "default", name = "", group = ""): Attributes => {
  const [plural, subresource = ""] = resource.split("/") as [string, string?];
  return { verb, namespace, group, resource: plural, subresource, name };
};

function world() {
  const store = createStore();
  const put = (plural: string, kind: string, namespace: string | undefined, name: string, fields: object) =>
    store.create(`${plural}.${G}`, { apiVersion: `${G}/v1`, kind, metadata: { name, ...(namespace && { namespace }) }, ...fields });
  const role = (kind: "Role" | "ClusterRole", name: string, rules: PolicyRule[]) =>
    put(kind === "Role" ? "roles" : "clusterroles", kind, kind === "Role" ? "default" : undefined, name, { rules });
  const bind = (kind: "RoleBinding" | "ClusterRoleBinding", roleKind: string, roleName: string, subject: object) =>
    put(
      kind === "RoleBinding" ? "rolebindings" : "clusterrolebindings",
      kind,
      kind === "RoleBinding" ? "default" : undefined,
      `to-${roleName}`,
      {
        roleRef: { apiGroup: G, kind: roleKind, name: roleName },
        subjects: [subject],
      },
    );
  return { store, put, role, bind, authorizer: createAuthorizer(store) };
}

test.each([
  [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }, wants("get", "pods"), true],
  [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }, wants("list", "pods"), false],
  [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }, wants("get", "pods/log"), false],
  [{ verbs: ["get"], apiGroups: [""], resources: ["pods/log"] }, wants("get", "pods/log"), true],
  [{ verbs: ["get"], apiGroups: [""], resources: ["*/log"] }, wants("get", "pods/log"), true],
  [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }, wants("create", "pods/exec"), true],
  [{ verbs: ["get"], apiGroups: ["apps"], resources: ["deployments"] }, wants("get", "deployments", "default", "", "apps"), true],
  [{ verbs: ["get"], apiGroups: [""], resources: ["deployments"] }, wants("get", "deployments", "default", "", "apps"), false],
  [
    { verbs: ["get"], apiGroups: [""], resources: ["secrets"], resourceNames: ["a"] },
    wants("get", "secrets", "default", "a"),
    true,
  ],
  [
    { verbs: ["get"], apiGroups: [""], resources: ["secrets"], resourceNames: ["a"] },
    wants("get", "secrets", "default", "b"),
    false,
  ],
  [{ verbs: ["list"], apiGroups: [""], resources: ["secrets"], resourceNames: ["a"] }, wants("list", "secrets"), false],
  [{ verbs: ["get"], nonResourceURLs: ["/healthz"] }, { verb: "get", path: "/healthz" }, true],
  [{ verbs: ["get"], nonResourceURLs: ["/api/*"] }, { verb: "get", path: "/api/v1" }, true],
  [{ verbs: ["get"], nonResourceURLs: ["/api/*"] }, { verb: "get", path: "/apis" }, false],
] as Array<[PolicyRule, Attributes, boolean]>)("rule %j for %j: %s", (rule, attributes, expected) => {
  expect(ruleAllows(rule, attributes)).toBe(expected);
});

test("a Role counts in its namespace, a ClusterRole where it is bound", () => {
  const { role, bind, authorizer } = world();
  role("Role", "reader", [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }]);
  role("ClusterRole", "lister", [{ verbs: ["list"], apiGroups: [""], resources: ["pods"] }]);
  bind("RoleBinding", "Role", "reader", { kind: "User", name: "jane" });
  bind("RoleBinding", "ClusterRole", "lister", { kind: "Group", name: "dev" });
  const may = (attributes: Attributes) => authorizer.authorize(jane, attributes);
  expect(may(wants("get", "pods"))).toMatchObject({
    allowed: true,
    reason: 'RBAC: allowed by RoleBinding "to-reader/default" of Role "reader" to User "jane"',
  });
  expect(may(wants("list", "pods")).allowed).toBe(true);
  expect(may(wants("get", "pods", "other")).allowed).toBe(false);
  expect(may(wants("list", "pods", "")).allowed).toBe(false);
  bind("ClusterRoleBinding", "ClusterRole", "lister", { kind: "User", name: "jane" });
  expect(may(wants("list", "pods", "")).allowed).toBe(true);
});

test("service accounts are subjects, and members of their groups", () => {
  const { role, bind, authorizer } = world();
  role("Role", "reader", [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }]);
  role("Role", "writer", [{ verbs: ["create"], apiGroups: [""], resources: ["pods"] }]);
  bind("RoleBinding", "Role", "reader", { kind: "ServiceAccount", name: "app" });
  bind("RoleBinding", "Role", "writer", { kind: "Group", name: "system:serviceaccounts:default" });
  expect(authorizer.authorize(serviceAccountUser("default", "app"), wants("get", "pods")).allowed).toBe(true);
  expect(authorizer.authorize(serviceAccountUser("other", "app"), wants("get", "pods")).allowed).toBe(false);
  expect(authorizer.authorize(serviceAccountUser("default", "any"), wants("create", "pods")).allowed).toBe(true);
});

test("aggregated roles have the rules of those that they select", () => {
  const { store, bind, put, authorizer } = world();
  put("clusterroles", "ClusterRole", undefined, "all", {
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { part: "yes" } }] },
  });
  bind("ClusterRoleBinding", "ClusterRole", "all", { kind: "User", name: "jane" });
  expect(authorizer.authorize(jane, wants("get", "pods")).allowed).toBe(false);
  store.create(`clusterroles.${G}`, {
    apiVersion: `${G}/v1`,
    kind: "ClusterRole",
    metadata: { name: "part", labels: { part: "yes" } },
    rules: [{ verbs: ["get"], apiGroups: [""], resources: ["pods"] }],
  });
  expect(authorizer.authorize(jane, wants("get", "pods")).allowed).toBe(true);
});

test("system:masters may do all; a binding to a role that isn't there is said in the refusal", () => {
  const { bind, authorizer } = world();
  expect(authorizer.authorize({ username: "root", groups: ["system:masters"] }, wants("delete", "nodes", "")).allowed).toBe(true);
  bind("RoleBinding", "Role", "gone", { kind: "User", name: "jane" });
  expect(authorizer.authorize(jane, wants("get", "pods"))).toMatchObject({
    allowed: false,
    reason: 'RBAC: role.rbac.authorization.k8s.io "gone" not found',
  });
});

test.each([
  [wants("list", "pods"), 'pods is forbidden: User "jane" cannot list resource "pods" in API group "" in the namespace "default"'],
  [
    wants("get", "deployments", "shop", "web", "apps"),
    'deployments.apps "web" is forbidden: User "jane" cannot get resource "deployments" in API group "apps" in the namespace "shop"',
  ],
  [wants("list", "nodes", ""), 'nodes is forbidden: User "jane" cannot list resource "nodes" in API group "" at the cluster scope'],
  [
    wants("create", "pods/exec", "default", "web"),
    'pods "web" is forbidden: User "jane" cannot create resource "pods/exec" in API group "" in the namespace "default"',
  ],
  [{ verb: "get", path: "/metrics" }, 'forbidden: User "jane" cannot get path "/metrics"'],
] as Array<[Attributes, string]>)("the refusal of %j", (attributes, message) => {
  expect(forbidden(jane, attributes, "").status).toMatchObject({ code: 403, reason: "Forbidden", message });
});

test.each([
  ["fieldSelector=metadata.name%3Dcore", "list", "core"],
  ["watch=true&fieldSelector=metadata.name%3D%3Dcore", "watch", "core"],
  ["fieldSelector=status.phase%3DRunning,metadata.name%3Dcore", "list", "core"],
  ["fieldSelector=metadata.name!%3Dcore", "list", ""],
  ["", "list", ""],
])("a list of one name is authorized by that name: %s", (query, verb, name) => {
  const info = parseRequest("GET", "/api/v1/namespaces/default/pods", new URLSearchParams(query));
  expect(attributesOf(info)).toMatchObject({ verb, resource: "pods", name });
  // It is a list all the same.
  expect(info.name).toBe("");
});
