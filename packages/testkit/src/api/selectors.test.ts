import fc from "fast-check";
import { expect, test } from "vitest";
import type { KubeJson } from "../store.ts";
import { type LabelRequirement, matchesLabels, parseFieldSelector, parseLabelSelector, selection } from "./selectors.ts";

const object = (labels: Record<string, string>, more: object = {}): KubeJson =>
  ({ apiVersion: "v1", kind: "Pod", metadata: { name: "a", namespace: "b", labels }, ...more }) as KubeJson;

test.each([
  ["a=b", { a: "b" }, true],
  ["a==b", { a: "c" }, false],
  ["a!=b", {}, true],
  ["a!=b", { a: "b" }, false],
  ["a in (b, c)", { a: "c" }, true],
  ["a in (b, c)", {}, false],
  ["a notin (b,c)", {}, true],
  ["a notin (b,c)", { a: "b" }, false],
  ["a", { a: "" }, true],
  ["!a", { a: "" }, false],
  ["! a", {}, true],
  ["a=", { a: "" }, true],
  ["a=", { a: "x" }, false],
  ["a>3", { a: "10" }, true],
  ["a<3", { a: "x" }, false],
  ["x.io/a=b,c in (d),!e", { "x.io/a": "b", c: "d" }, true],
  ["x.io/a=b,c in (d),!e", { "x.io/a": "b", c: "d", e: "" }, false],
  ["in=in", { in: "in" }, true],
  ["", {}, true],
] as const)("label selector %j on %j: %s", (text, labels, expected) => {
  expect(matchesLabels(parseLabelSelector(text), labels)).toBe(expected);
});

test.each([
  "a b",
  "a=b,",
  ",a",
  "a in b",
  "a in (b",
  "a in b)",
  "=b",
  "a=b=c",
  "!",
  "a notin",
  "a>x",
  "-a=b",
  "a=b c",
  "a/b/c=d",
  "a=-",
])("label selector %j is refused with 400", (text) => {
  expect(() => parseLabelSelector(text)).toThrow(expect.objectContaining({ code: "BadRequest" }));
});

test("what is written is read back", () => {
  const word = fc.stringMatching(/^[a-z]([a-z0-9.-]{0,8}[a-z0-9])?$/).filter((text) => text !== "in" && text !== "notin");
  const requirement = fc.oneof(
    fc.record({ key: word, operator: fc.constantFrom("Exists" as const, "DoesNotExist" as const), values: fc.constant([]) }),
    fc.record({
      key: word,
      operator: fc.constantFrom("In" as const, "NotIn" as const),
      values: fc.array(word, { minLength: 1, maxLength: 3 }),
    }),
  );
  const write = ({ key, operator, values }: LabelRequirement): string => {
    if (operator === "Exists") return key;
    if (operator === "DoesNotExist") return `!${key}`;
    return `${key} ${operator === "In" ? "in" : "notin"} (${values.join(", ")})`;
  };
  fc.assert(
    fc.property(fc.array(requirement, { maxLength: 4 }), (requirements) => {
      expect(parseLabelSelector(requirements.map(write).join(","))).toEqual(requirements);
    }),
  );
});

test("no text makes the parser fail but with a Status", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "b", "=", "!", ",", "(", ")", " ", "in", "notin", ">") }), (text) => {
      try {
        parseLabelSelector(text);
      } catch (error) {
        expect(error).toMatchObject({ status: { code: 400 } });
      }
    }),
  );
});

test("field selectors: the kind's own fields, absent ones as their zero value", () => {
  const pod = object({}, { spec: { nodeName: "n1" }, status: { phase: "Running" } });
  const matches = (text: string) => parseFieldSelector("pods", text).match(pod);
  expect(matches("spec.nodeName=n1,status.phase!=Pending")).toBe(true);
  expect(matches("status.podIP=")).toBe(true);
  expect(matches("spec.hostNetwork=false")).toBe(true);
  expect(matches("metadata.name==b")).toBe(false);
  expect(parseFieldSelector("pods", "metadata.name=a").name).toBe("a");
  expect(parseFieldSelector("configmaps", "metadata.name=a\\,b").name).toBe("a,b");
  expect(() => parseFieldSelector("pods", "spec.colour=x")).toThrow("field label not supported: spec.colour");
  expect(() => parseFieldSelector("configmaps", "data.a=x")).toThrow(
    '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
  );
  expect(() => parseFieldSelector("pods", "nonsense")).toThrow("invalid field selector");
});

test("both at once", () => {
  const { match } = selection("pods", new URLSearchParams({ labelSelector: "a=b", fieldSelector: "metadata.name=a" }));
  expect(match(object({ a: "b" }))).toBe(true);
  expect(match(object({ a: "c" }))).toBe(false);
});
