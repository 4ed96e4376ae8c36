import fc from "fast-check";
import { expect, test } from "vitest";
import { ruleProblem, serviceRules } from "./selection.ts";

const of = (name: string, namespace = "home", labels: Record<string, string> = {}) => ({ name, namespace, labels });
const admits = (rules: string[], ...service: Parameters<typeof of>): boolean => serviceRules(rules, "home").admits(of(...service));

test.each<[rules: string[], service: Parameters<typeof of>, admitted: boolean]>([
  [[], ["leaf"], true],
  [["leaf"], ["leaf"], true],
  [["leaf"], ["leaf", "shop"], false],
  [["leaf"], ["core"], false],
  [["leaf.shop"], ["leaf", "shop"], true],
  [["shop/leaf"], ["leaf", "shop"], true],
  [["leaf.shop.svc.cluster.local"], ["leaf", "shop"], true],
  [["*.shop"], ["leaf", "shop"], true],
  [["*.shop"], ["leaf"], false],
  [["*"], ["leaf"], true],
  [["*"], ["leaf", "shop"], false],
  [["*.*"], ["leaf", "shop"], true],
  [["leaf-*"], ["leaf-1"], true],
  [["leaf-?"], ["leaf-12"], false],
  [["!leaf"], ["leaf"], false],
  [["!leaf"], ["core", "shop"], true],
  [["*.shop", "!leaf.shop"], ["leaf", "shop"], false],
  [["!leaf.shop", "*.shop"], ["leaf", "shop"], true],
  [["*.shop", "!leaf-*.shop", "leaf-1.shop"], ["leaf-1", "shop"], true],
  [["app=web"], ["leaf", "shop", { app: "web" }], true],
  [["app==web,tier!=test"], ["leaf", "home", { app: "web" }], true],
  [["app=web,tier!=test"], ["leaf", "home", { app: "web", tier: "test" }], false],
  [["tier in (web, api)"], ["leaf", "home", { tier: "api" }], true],
  [["tier notin (web,api)"], ["leaf"], true],
  [["app=web,beta"], ["leaf", "home", { app: "web", beta: "" }], true],
  [["app=web,!beta"], ["leaf", "home", { app: "web", beta: "" }], false],
  [["!app=web"], ["leaf", "home", { app: "web" }], false],
  [["!app=web"], ["leaf"], true],
  [["app.kubernetes.io/name=web"], ["leaf", "home", { "app.kubernetes.io/name": "web" }], true],
  [["__proto__=x"], ["leaf"], false],
  [["*", "!tier=test"], ["leaf", "home", { tier: "test" }], false],
])("%j of %j: %j", (rules, service, admitted) => {
  for (const rule of rules.filter((each) => each !== "__proto__=x")) expect(ruleProblem(rule)).toBeUndefined();
  if (rules[0] === "__proto__=x") return expect(ruleProblem(rules[0])).toMatch(/label selector/);
  expect(admits(rules, ...service)).toBe(admitted);
});

test.each(["", "!", "A", "a.b.c", "a/b/c", "leaf_1", "a b", "app=we b", "app in web", "=x", "-leaf", 7])(
  "%j is no rule",
  (text) => {
    expect(ruleProblem(text)).toMatch(/^is /);
  },
);

test("what must be there, and where to look", () => {
  expect(serviceRules(["leaf", "core.shop", "web-*.pay", "!x"], "home")).toMatchObject({
    named: [of("leaf"), of("core", "shop")].map(({ name, namespace }) => ({ name, namespace })),
    namespaces: ["home", "shop", "pay"],
    open: false,
  });
  expect(serviceRules(["leaf", "!le*"], "home").named).toEqual([]);
  expect(serviceRules(["leaf", "!app=web"], "home").named).toEqual([]);
  expect(serviceRules(["!leaf"], "home")).toMatchObject({ namespaces: [], open: true });
  expect(serviceRules(["app=web"], "home").open).toBe(true);
  expect(serviceRules(["leaf.*"], "home").open).toBe(true);
});

const label = fc.stringMatching(/^[ab]{1,2}$/);
const pattern = fc.stringMatching(/^[ab*?]{1,3}$/);
const rule = fc.oneof(
  pattern,
  fc.tuple(pattern, pattern).map(([name, namespace]) => `${name}.${namespace}`),
  fc.tuple(label, fc.constantFrom("=", "!="), label).map((parts) => parts.join("")),
);
const service = fc.record({ name: label, namespace: label, labels: fc.dictionary(label, label) });

test("the last rule that fits decides, whatever stands before it", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), rule), { maxLength: 6 }),
      rule,
      fc.boolean(),
      service,
      (before, last, not, facts) => {
        const texts = before.map(([negated, text]) => (negated ? `!${text}` : text));
        const fits = serviceRules([last], "a").admits(facts);
        const all = serviceRules([...texts, not ? `!${last}` : last], "a").admits(facts);
        if (fits) expect(all).toBe(!not);
        else if (texts.length > 0) expect(all).toBe(serviceRules(texts, "a").admits(facts));
        else expect(all).toBe(not);
      },
    ),
  );
});

test("a rule and its exclusion never both admit; what a rule names by name is admitted by it", () => {
  fc.assert(
    fc.property(rule, service, (text, facts) => {
      expect(serviceRules([text], "a").admits(facts)).toBe(!serviceRules([`!${text}`], "a").admits(facts));
      expect(serviceRules([`${facts.name}.${facts.namespace}`], "zz").admits(facts)).toBe(true);
    }),
  );
});
