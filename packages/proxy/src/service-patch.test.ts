import type { Service } from "@shipside/kube";
import { disownPatch, INTERCEPT_ANNOTATION, selectorOwners, switchedSelector } from "@shipside/relay";
import fc from "fast-check";
import { expect, test } from "vitest";
import { applyPatch } from "./fixtures/json-patch.ts";
import { backendService, readRecord, restorePatch, switchPatch, switchState } from "./service-patch.ts";

const key = fc.stringMatching(/^[a-z][a-z0-9./~-]{0,30}$/);
const value = fc.stringMatching(/^[a-z0-9]{1,20}$/);
const selectors = fc.dictionary(key, value, { minKeys: 1, maxKeys: 6 });
const annotations = fc.option(fc.dictionary(key, fc.string()), { nil: undefined });

const service = (selector: Record<string, string>, given?: Record<string, string>): Service => ({
  metadata: { name: "core", namespace: "shop", uid: "u1", resourceVersion: "7", ...(given && { annotations: given }) },
  spec: {
    type: "NodePort",
    clusterIP: "10.0.0.7",
    selector,
    ports: [{ name: "http", port: 80, targetPort: "http", nodePort: 30_080, protocol: "TCP" }],
  },
});
const SWITCHED = "shipside-core-0123abcd";
const record = (original: Record<string, string>) => ({
  relay: "r",
  original,
  switched: switchedSelector(original, SWITCHED),
  by: "alice@laptop",
  since: "2026-01-01T00:00:00Z",
});

test("switched, each key has the relay's value and none is added or dropped; restored, it is what it was", () => {
  fc.assert(
    fc.property(selectors, annotations, (selector, given) => {
      const before = service(selector, given);
      const written = record(selector);
      const switched = applyPatch(before, switchPatch(before, written));
      expect(Object.keys(switched.spec.selector!).sort()).toEqual(Object.keys(selector).sort());
      expect(new Set(Object.values(switched.spec.selector!))).toEqual(new Set([SWITCHED]));
      expect(readRecord(switched.metadata)).toEqual(written);
      expect(switchState(switched, written)).toBe("switched");
      const restored = applyPatch(switched, restorePatch(switched, written)!);
      // An empty map of annotations isn't kept by the API server either.
      if (given && Object.keys(given).length === 0) delete before.metadata.annotations;
      expect(restored).toEqual(before);
      expect(switchState(restored, written)).toBe("restored");
      expect(restorePatch(restored, written)).toBeUndefined();
    }),
  );
});

test("what somebody else wrote meanwhile stays; what leads to the relay doesn't", () => {
  fc.assert(
    fc.property(selectors, fc.dictionary(key, value, { maxKeys: 3 }), fc.boolean(), (original, others, dropped) => {
      const written = record(original);
      const switched = applyPatch(service(original), switchPatch(service(original), written));
      const current = { ...switched.spec.selector!, ...others };
      const gone = dropped ? Object.keys(original)[0]! : undefined;
      if (gone !== undefined) delete current[gone];
      const changed = { ...switched, spec: { ...switched.spec, selector: current } };
      const restored = applyPatch(changed, restorePatch(changed, written)!);
      expect(Object.values(restored.spec.selector ?? {})).not.toContain(SWITCHED);
      for (const [name, text] of Object.entries(others)) if (name !== gone) expect(restored.spec.selector![name]).toBe(text);
      expect(restored.metadata.annotations).toBeUndefined();
    }),
  );
});

test("how far it leads to the relay", () => {
  const written = record({ app: "core", tier: "back" });
  const state = (selector: Record<string, string>) => switchState(service(selector), written);
  expect(state({ app: SWITCHED, tier: SWITCHED })).toBe("switched");
  expect(state({ app: SWITCHED, tier: "back" })).toBe("mixed");
  expect(state({ tier: "back", app: "core" })).toBe("restored");
  expect(state({ app: "core" })).toBe("changed");
  expect(state({ app: "core2", tier: "back" })).toBe("changed");
});

test("the patch is for that version of that Service", () => {
  const before = service({ app: "core" });
  const patch = switchPatch(before, record({ app: "core" }));
  for (const change of [{ uid: "u2" }, { resourceVersion: "8" }])
    expect(() => applyPatch({ ...before, metadata: { ...before.metadata, ...change } }, patch)).toThrow("test failed");
});

test("an annotation that isn't ours to understand is no record, and stays", () => {
  for (const text of ["", "null", "1", "{}", '{"relay":"x"}', '{"relay":"x","original":{"a":1},"switched":{}}', "{"])
    expect(readRecord({ name: "a", annotations: { [INTERCEPT_ANNOTATION]: text } })).toBeUndefined();
  expect(restorePatch(service({ app: "core" }, { [INTERCEPT_ANNOTATION]: "{" }), record({ app: "core" }))).toBeUndefined();
});

test("the backend has the original's selector and ports, and nothing that takes something from the cluster", () => {
  const made = backendService(service({ app: "core" }), {
    name: "b",
    original: { app: "core" },
    relay: { name: "r", uid: "ru" },
  });
  expect(made.spec).toEqual({
    type: "ClusterIP",
    selector: { app: "core" },
    ports: [{ name: "http", port: 80, targetPort: "http", protocol: "TCP" }],
  });
  expect(made.metadata).toMatchObject({ name: "b", namespace: "shop", ownerReferences: [{ name: "r", uid: "ru" }] });
  expect(made.metadata.labels).toMatchObject({ "shipside.dev/backend-of": "core" });
  const sticky = service({ app: "core" });
  sticky.spec.sessionAffinity = "ClientIP";
  expect(backendService(sticky, { name: "b", original: {}, relay: { name: "r", uid: "ru" } }).spec).toMatchObject({
    clusterIP: "None",
  });
});

test("the selector's owners get it back, so that a later apply has no conflict with us", () => {
  const spec = (own: boolean) => ({ fieldsV1: { "f:spec": { "f:ports": {}, ...(own && { "f:selector": {} }) } } });
  const argo = { manager: "argocd", operation: "Apply" };
  const kubectl = { manager: "kubectl", operation: "Update" };
  const managed = (managedFields: object[]): Service => {
    const made = service({ app: "core" });
    return { ...made, metadata: { ...made.metadata, managedFields } as Service["metadata"] };
  };
  const before = managed([
    { ...argo, ...spec(true) },
    { ...kubectl, ...spec(false) },
  ]);
  const owners = selectorOwners(before);
  expect(owners).toEqual([argo]);
  const ours = { manager: "shipside", operation: "Update", fieldsV1: { "f:spec": { "f:selector": {} } } };
  const after = managed([{ ...argo, ...spec(false) }, { ...kubectl, ...spec(false) }, ours]);
  expect(applyPatch(after, disownPatch(after, owners) as never)).toEqual(before);
  expect(disownPatch(before, owners)).toBeUndefined();
  expect(disownPatch(managed([ours]), [])).toContainEqual({ op: "replace", path: "/metadata/managedFields", value: [{}] });
});
