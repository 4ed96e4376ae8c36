import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { freezeSharing, type Json } from "../../json.ts";
import { messageType } from "../schema/types.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyStrategicPatch } from "./strategic-patch.ts";

const json = fc.jsonValue({ maxDepth: 3 }).filter((value) => !JSON.stringify(value).includes("__proto__")) as fc.Arbitrary<Json>;
const object = fc.dictionary(fc.constantFrom("a", "b", "c/d", "e~f"), json, { maxKeys: 4 }) as fc.Arbitrary<Json>;

describe("JSON patch (RFC 6902)", () => {
  test.each([
    [{ foo: "bar" }, [{ op: "add", path: "/baz", value: "qux" }], { foo: "bar", baz: "qux" }],
    [{ foo: ["bar", "baz"] }, [{ op: "add", path: "/foo/1", value: "qux" }], { foo: ["bar", "qux", "baz"] }],
    [{ foo: ["bar", "qux", "baz"] }, [{ op: "remove", path: "/foo/1" }], { foo: ["bar", "baz"] }],
    [
      { foo: { bar: "baz", waldo: "fred" }, qux: {} },
      [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }],
      { foo: { bar: "baz" }, qux: { thud: "fred" } },
    ],
    [{ foo: ["a", "b", "c", "d"] }, [{ op: "move", from: "/foo/1", path: "/foo/3" }], { foo: ["a", "c", "d", "b"] }],
    [
      { "a/b": 1, "m~n": 2 },
      [
        { op: "replace", path: "/a~1b", value: 3 },
        { op: "test", path: "/m~0n", value: 2 },
      ],
      { "a/b": 3, "m~n": 2 },
    ],
    [
      { a: [1] },
      [
        { op: "copy", from: "/a", path: "/b" },
        { op: "add", path: "/a/-", value: 2 },
      ],
      { a: [1, 2], b: [1] },
    ],
    [{ a: 1 }, [{ op: "add", path: "", value: { b: 2 } }], { b: 2 }],
  ])("%j with %j", (document, patch, expected) => {
    expect(applyJsonPatch(freezeSharing(document), patch)).toEqual(expected);
  });

  test.each([
    [{ a: 1 }, [{ op: "test", path: "/a", value: 2 }]],
    [{ a: 1 }, [{ op: "remove", path: "/b" }]],
    [{ a: [1] }, [{ op: "replace", path: "/a/1", value: 1 }]],
    [{ a: 1 }, [{ op: "add", path: "/b/c", value: 1 }]],
    [{ a: [1] }, [{ op: "add", path: "/a/3", value: 1 }]],
    [{ a: [1] }, [{ op: "remove", path: "/a/length" }]],
    [{ a: 1 }, [{ op: "shake", path: "/a" }]],
    [{ a: 1 }, [{ op: "add", path: "/a/b", value: 1 }]],
  ])("%j refuses %j with 422", (document, patch) => {
    expect(() => applyJsonPatch(document, patch)).toThrow(
      expect.objectContaining({ code: "Invalid", message: "the server rejected our request due to an error in our request" }),
    );
  });

  test("a member that isn't there is replaced all the same, as the real server has it", () =>
    expect(applyJsonPatch({ a: 1 }, [{ op: "replace", path: "/b", value: 2 }])).toEqual({ a: 1, b: 2 }));

  test("what isn't a list is no patch", () =>
    expect(() => applyJsonPatch({}, {})).toThrow(expect.objectContaining({ code: "BadRequest" })));

  test("adding and taking away again changes nothing, nor does a failed patch change its argument", () => {
    fc.assert(
      fc.property(object, json, (document, value) => {
        const frozen = freezeSharing(document);
        const patch = [
          { op: "add", path: "/new", value },
          { op: "test", path: "/new", value },
          { op: "remove", path: "/new" },
        ];
        expect(applyJsonPatch(frozen, patch)).toEqual(document);
      }),
    );
  });
});

describe("merge patch (RFC 7386)", () => {
  test.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [["a"], ["c"], ["c"]],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: "b", c: null }, { a: "b" }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("%j with %j", (document, patch, expected) => {
    expect(applyMergePatch(freezeSharing(document), patch)).toEqual(expected);
  });

  test("twice is once", () => {
    fc.assert(
      fc.property(object, object, (document, patch) => {
        const merged = applyMergePatch(document, patch);
        expect(applyMergePatch(merged, patch)).toEqual(merged);
      }),
    );
  });
});

describe("strategic merge patch", () => {
  const pod = (spec: Json): Json => ({ spec });
  const patched = (original: Json, patch: Json): Json =>
    applyStrategicPatch(freezeSharing(original), freezeSharing(patch), messageType("Pod"));

  test("keyed lists are merged by their key, the patch's items first where order doesn't say otherwise", () => {
    const original = pod({
      containers: [
        { name: "a", image: "1", env: [{ name: "X", value: "1" }] },
        { name: "b", image: "2" },
      ],
    });
    const patch = pod({ containers: [{ name: "a", env: [{ name: "Y", value: "2" }] }] });
    expect(patched(original, patch).spec.containers).toEqual([
      {
        name: "a",
        image: "1",
        env: [
          { name: "Y", value: "2" },
          { name: "X", value: "1" },
        ],
      },
      { name: "b", image: "2" },
    ]);
  });

  test("$patch deletes an item, replaces a list, replaces and deletes a map", () => {
    const original = pod({
      containers: [{ name: "a" }, { name: "b" }],
      nodeSelector: { x: "1", y: "2" },
      securityContext: { runAsUser: 1 },
    });
    expect(patched(original, pod({ containers: [{ name: "a", $patch: "delete" }] })).spec.containers).toEqual([{ name: "b" }]);
    expect(patched(original, pod({ containers: [{ $patch: "replace" }, { name: "c" }] })).spec.containers).toEqual([{ name: "c" }]);
    expect(patched(original, pod({ nodeSelector: { $patch: "replace", z: "3" } })).spec.nodeSelector).toEqual({ z: "3" });
    expect(patched(original, pod({ securityContext: { $patch: "delete" } })).spec.securityContext).toEqual({});
    expect(() => patched(original, pod({ nodeSelector: { $patch: "shake" } }))).toThrow("Unknown patch type: shake");
  });

  test("$retainKeys drops the other members of a union", () => {
    const original = pod({ volumes: [{ name: "v", emptyDir: {} }] });
    const patch = pod({ volumes: [{ name: "v", $retainKeys: ["name", "configMap"], configMap: { name: "c" } }] });
    expect(patched(original, patch).spec.volumes).toEqual([{ name: "v", configMap: { name: "c" } }]);
  });

  test("sets are united; $deleteFromPrimitiveList takes values out", () => {
    const original = { metadata: { finalizers: ["a", "b", "c"] } };
    expect(patched(original, { metadata: { finalizers: ["d"] } }).metadata.finalizers).toEqual(["d", "a", "b", "c"]);
    expect(patched(original, { metadata: { "$deleteFromPrimitiveList/finalizers": ["b"] } }).metadata.finalizers).toEqual([
      "a",
      "c",
    ]);
  });

  test("$setElementOrder sorts; what only the server has keeps its place", () => {
    const original = pod({ containers: [{ name: "a" }, { name: "injected" }, { name: "b" }] });
    const patch = pod({
      "$setElementOrder/containers": [{ name: "b" }, { name: "a" }, { name: "c" }],
      containers: [{ name: "c" }],
    });
    expect(patched(original, patch).spec.containers.map(({ name }: Json) => name)).toEqual(["injected", "b", "a", "c"]);
  });

  test("lists without a key are replaced, and null takes away", () => {
    const original = pod({ containers: [{ name: "a", command: ["x", "y"], image: "1" }] });
    expect(patched(original, pod({ containers: [{ name: "a", command: ["z"], image: null }] })).spec.containers).toEqual([
      { name: "a", command: ["z"] },
    ]);
  });

  test("an item without its key is refused", () => {
    expect(() => patched(pod({}), pod({ containers: [{ image: "x" }] }))).toThrow("does not contain declared merge key: name");
  });

  test("ports are merged by containerPort, whatever else they are keyed by", () => {
    const original = pod({ containers: [{ name: "a", ports: [{ containerPort: 80, protocol: "TCP" }] }] });
    const patch = pod({ containers: [{ name: "a", ports: [{ containerPort: 80, name: "http" }] }] });
    expect(patched(original, patch).spec.containers[0].ports).toEqual([{ containerPort: 80, protocol: "TCP", name: "http" }]);
  });

  test("twice is once, every item of the patch is there, and no other item is lost", () => {
    const container = fc.record({ name: fc.constantFrom("a", "b", "c", "d"), image: fc.constantFrom("1", "2") });
    const containers = fc.uniqueArray(container, { selector: ({ name }) => name });
    fc.assert(
      fc.property(containers, containers, (original, patch) => {
        const once = patched(pod({ containers: original }), pod({ containers: patch }));
        expect(patched(once, pod({ containers: patch }))).toEqual(once);
        const names = once.spec.containers.map(({ name }: Json) => name);
        expect([...names].sort()).toEqual([...new Set([...original, ...patch].map(({ name }) => name))].sort());
        for (const item of patch) expect(once.spec.containers).toContainEqual(item);
      }),
    );
  });
});
