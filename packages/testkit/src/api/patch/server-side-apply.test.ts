import fc from "fast-check";
import { expect, test } from "vitest";
import { freezeSharing, type Json } from "../../json.ts";
import type { KubeJson } from "../../store.ts";
import { messageType } from "../schema/types.ts";
import { fieldSetOf, fromFieldsV1, toFieldsV1 } from "./field-sets.ts";
import { type Manager, trackUpdate } from "./managed-fields.ts";
import { applyServerSide } from "./server-side-apply.ts";

const type = messageType("Deployment");
const manager = (name: string, operation: Manager["operation"] = "Apply"): Manager => ({
  name,
  operation,
  apiVersion: "apps/v1",
  subresource: "",
  time: "2026-01-01T00:00:00Z",
});
const config = (spec: Json, labels?: Json): Json => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", ...(labels && { labels }) },
  spec,
});
const apply = (live: KubeJson | undefined, wanted: Json, name: string, force = false): KubeJson =>
  freezeSharing(applyServerSide(live, freezeSharing(wanted), type, manager(name), force));
const owners = (object: KubeJson): string[] => ((object.metadata.managedFields ?? []) as Json[]).map((entry) => entry.manager);

test("two managers share an object, each with its own fields", () => {
  const first = apply(undefined, config({ replicas: 2 }, { a: "1" }), "one");
  const second = apply(first, config({ paused: true }, { b: "2" }), "two");
  expect(second["spec"]).toEqual({ replicas: 2, paused: true });
  expect(second.metadata.labels).toEqual({ a: "1", b: "2" });
  expect(owners(second)).toEqual(["one", "two"]);
});

test("another's value is a conflict that names owner and field; force takes it over", () => {
  const first = apply(undefined, config({ replicas: 2 }), "one");
  expect(() => apply(first, config({ replicas: 3 }), "two")).toThrow(
    'Apply failed with 1 conflict: conflict with "one": .spec.replicas',
  );
  try {
    apply(first, config({ replicas: 3, paused: true }), "two");
  } catch (error) {
    expect(error).toMatchObject({
      status: {
        code: 409,
        reason: "Conflict",
        details: {
          causes: [{ reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".spec.replicas" }],
        },
      },
    });
  }
  const forced = apply(first, config({ replicas: 3 }), "two", true);
  expect(forced["spec"].replicas).toBe(3);
  expect(owners(forced)).toEqual(["two"]);
  expect(() => apply(forced, config({ replicas: 3 }), "one")).not.toThrow();
});

test("the same value is shared, and stays as long as one of them wants it", () => {
  const shared = apply(apply(undefined, config({ replicas: 2 }), "one"), config({ replicas: 2 }), "two");
  const left = apply(shared, config({ paused: false }), "one");
  expect(left["spec"]).toEqual({ replicas: 2, paused: false });
  expect(apply(left, config({ minReadySeconds: 1 }), "two")["spec"]).toEqual({ paused: false, minReadySeconds: 1 });
});

test("items of keyed lists come and go by their key; atomic lists are replaced", () => {
  const containers = (...items: Json[]): Json => config({ template: { spec: { containers: items } } });
  const first = apply(undefined, containers({ name: "a", image: "1", command: ["x", "y"] }), "one");
  const second = apply(first, containers({ name: "b", image: "2" }), "two");
  expect(second["spec"].template.spec.containers.map(({ name }: Json) => name)).toEqual(["a", "b"]);
  const third = apply(second, containers({ name: "a", image: "1", command: ["z"] }, { name: "c", image: "3" }), "one");
  expect(third["spec"].template.spec.containers).toEqual([
    { name: "a", image: "1", command: ["z"] },
    { name: "b", image: "2" },
    { name: "c", image: "3" },
  ]);
  expect(
    apply(third, containers({ name: "c", image: "3" }), "one")["spec"].template.spec.containers.map(({ name }: Json) => name),
  ).toEqual(["b", "c"]);
});

test("an item that its manager gives up goes, whatever others changed in it", () => {
  const containers = (...items: Json[]): Json => config({ template: { spec: { containers: items } } });
  const first = apply(undefined, containers({ name: "a", image: "1" }), "one");
  const patched: Json = containers({ name: "a", image: "1", env: [{ name: "MORE", value: "1" }] });
  const managers = first.metadata.managedFields as Json[];
  patched.metadata.managedFields = trackUpdate(first, patched, type, manager("patcher", "Update"), managers);
  expect(apply(freezeSharing(patched), config({ replicas: 1 }), "one")["spec"]).toEqual({ replicas: 1 });
});

test("a write that is no apply owns what it changed, and so conflicts with the next apply", () => {
  const first = apply(undefined, config({ replicas: 2, paused: true }), "one");
  const scaled: Json = { ...first, spec: { ...first["spec"], replicas: 5 } };
  scaled.metadata = {
    ...scaled.metadata,
    managedFields: trackUpdate(first, scaled, type, manager("scaler", "Update"), scaled.metadata.managedFields),
  };
  expect(() => apply(freezeSharing(scaled), config({ replicas: 2, paused: true }), "one")).toThrow(
    'conflict with "scaler" using apps/v1: .spec.replicas',
  );
  expect(owners(scaled)).toEqual(["one", "scaler"]);
});

test("applying the same again changes nothing, and applying nothing leaves nothing", () => {
  const label = fc.dictionary(fc.constantFrom("a", "b/c", "d"), fc.constantFrom("1", "2"), { minKeys: 1 });
  const container = fc.record({ name: fc.constantFrom("a", "b"), image: fc.constantFrom("x", "y") });
  const spec = fc.record(
    {
      replicas: fc.nat(3),
      template: fc.record({
        spec: fc.record({ containers: fc.uniqueArray(container, { selector: ({ name }) => name, minLength: 1 }) }),
      }),
    },
    { requiredKeys: ["replicas"] },
  );
  fc.assert(
    fc.property(spec, label, (wanted, labels) => {
      const once = apply(undefined, config(wanted, labels), "one");
      expect(apply(once, config(wanted, labels), "one")).toEqual(once);
      const empty = apply(once, { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" } }, "one");
      expect(empty).toEqual({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "web" } });
    }),
  );
});

test("a field set survives the form it has in managedFields", () => {
  const object = config(
    { replicas: 1, template: { spec: { containers: [{ name: "a", ports: [{ containerPort: 80 }] }] } } },
    { "x.io/a": "b" },
  );
  const set = fieldSetOf({ ...object, metadata: { ...object.metadata, finalizers: ["f"] } }, type, "main");
  expect([...fromFieldsV1(toFieldsV1(set)).keys()].sort()).toEqual([...set.keys()].sort());
  expect(toFieldsV1(set)["f:metadata"]).toEqual({ "f:labels": { "f:x.io/a": {} }, "f:finalizers": { 'v:"f"': {} } });
});
