import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { sessionRules, USUAL } from "./commands.ts";
import { renderRoles, rolesFor } from "./manifest.ts";
import { mergeRules, type Rule, rightsOf } from "./rule.ts";

const namespace = "shop";
const shown = (rules: readonly Rule[], optional = false): string[] =>
  rules
    .filter((rule) => (rule.optional !== undefined) === optional)
    .map(
      ({ namespace: where = "*", resource, names, verbs }) => `${where}: ${verbs.join()} ${resource}${names ? ` ${names}` : ""}`,
    );

describe("what a command needs", () => {
  test("a namespace's services", () => {
    const rules = sessionRules({ kind: "teleport", namespace, also: ["pay"] }, "ignored");
    expect(shown(rules)).toEqual([
      "shop: list,watch services",
      "shop: list,watch endpointslices",
      "shop: create pods/portforward",
      "pay: list,watch services",
      "pay: list,watch endpointslices",
      "pay: create pods/portforward",
    ]);
    expect(shown(rules, true)).toContain("pay: get pods/portforward");
  });

  test("an env reads each thing once, and watches nothing", () => {
    const rules = sessionRules({ kind: "env", workload: "sts/db" }, namespace);
    expect(shown(rules)).toEqual(["shop: get statefulsets db", "shop: get configmaps", "shop: get secrets", "shop: list services"]);
    expect(shown(rules, true)).toEqual(["default: get services kubernetes", "shop: list pods", "*: get nodes"]);
  });

  test("a file is watched; of a running container more is asked; without secrets they are optional", () => {
    const file = sessionRules({ kind: "env", workload: "deploy/core", envFile: { path: "/x" } }, namespace);
    expect(shown(file)).toContain("shop: get,list,watch secrets");
    expect(shown(file)).toContain("shop: get,list,watch deployments core");
    const running = sessionRules({ kind: "env", workload: "deploy/core", env: { from: "running" } }, namespace);
    expect(shown(running)).toEqual(expect.arrayContaining(["shop: list pods", "shop: create,get pods/exec"]));
    const none = sessionRules({ kind: "env", workload: "deploy/core", env: { secrets: false } }, namespace);
    expect(shown(none).join()).not.toContain("secrets");
  });

  test("a teleport goes on without variables; what it needs of services is said once", () => {
    const rules = sessionRules({ kind: "teleport", workload: "deploy/core" }, namespace);
    expect(shown(rules)).toEqual([
      "shop: list,watch services",
      "shop: list,watch endpointslices",
      "shop: create pods/portforward",
      "shop: get deployments core",
    ]);
  });

  test("volumes are of the namespace, but for trust bundles and nodes, and there without those", () => {
    const rules = sessionRules({ kind: "mount", workload: "deploy/core", mount: { dir: "/x" } }, namespace);
    const ofCluster = rules.filter((rule) => rule.namespace === undefined);
    expect(shown(ofCluster, true)).toEqual(["*: get nodes", "*: get,list,watch clustertrustbundles"]);
    expect(shown(ofCluster)).toEqual([]);
  });

  test("a name alone may be any kind's", () => {
    const rules = sessionRules({ kind: "env", workload: "core" }, namespace);
    expect(rules.filter(({ names }) => names?.[0] === "core").map(({ resource }) => resource)).toHaveLength(7);
  });

  test("the usual commands name no object", () => {
    for (const { rules } of USUAL) expect(rules(namespace).flatMap(({ names = [] }) => names)).not.toContain("x");
  });
});

const rule: fc.Arbitrary<Rule> = fc
  .record({
    namespace: fc.constantFrom("a", "b", undefined),
    group: fc.constantFrom("", "apps"),
    resource: fc.constantFrom("pods", "pods/exec", "services"),
    verbs: fc.uniqueArray(fc.constantFrom("get", "list", "watch", "create"), { minLength: 1 }),
    names: fc.constantFrom(undefined, ["x"], ["true", 'quoted "name"']),
    optional: fc.constantFrom(undefined, "it is slow"),
  })
  .map(({ namespace: where, names, optional, ...rest }) => ({
    ...rest,
    why: "a reason",
    ...(where && { namespace: where }),
    ...(names && { names }),
    ...(optional && { optional }),
  }));

const key = ({ namespace: where, group, resource, verb, name }: ReturnType<typeof rightsOf>[number]): string =>
  JSON.stringify([where, group, resource, verb, name]);

describe("rules", () => {
  test("merging keeps every right, says none twice, and never makes a required one optional", () => {
    fc.assert(
      fc.property(fc.array(rule), (rules) => {
        const merged = rightsOf(mergeRules(rules)).map(key);
        expect(new Set(merged)).toEqual(new Set(rightsOf(rules).map(key)));
        expect(merged).toHaveLength(new Set(merged).size);
        const required = rightsOf(rules.filter(({ optional }) => optional === undefined)).map(key);
        const still = rightsOf(mergeRules(rules).filter(({ optional }) => optional === undefined)).map(key);
        expect(new Set(still)).toEqual(new Set(required));
      }),
    );
  });

  test("what is printed is YAML that says what the objects say", () => {
    fc.assert(
      fc.property(fc.array(rule, { minLength: 1 }), (rules) => {
        const documents = parseAllDocuments(renderRoles(rules, "shipside-x")).map((each) => each.toJSON());
        expect(documents).toEqual(rolesFor(rules, "shipside-x"));
        expect(
          documents.map(({ kind, metadata }) => (kind === "ClusterRole") === (metadata.namespace === undefined)),
        ).not.toContain(false);
      }),
    );
  });
});
