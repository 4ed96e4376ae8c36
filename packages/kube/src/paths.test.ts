import { expect, test } from "vitest";
import { selectorString } from "./label-selector.ts";
import { DEPLOYMENTS, NAMESPACES, PODS } from "./objects.ts";
import { queryString, resourcePath } from "./paths.ts";

test("paths of collections, objects and subresources", () => {
  expect(resourcePath(PODS)).toBe("/api/v1/pods");
  expect(resourcePath(PODS, { namespace: "a", name: "b", subresource: "exec" })).toBe("/api/v1/namespaces/a/pods/b/exec");
  expect(resourcePath(DEPLOYMENTS, { namespace: "a" })).toBe("/apis/apps/v1/namespaces/a/deployments");
  expect(resourcePath(NAMESPACES, { namespace: "ignored", name: "n" })).toBe("/api/v1/namespaces/n");
  expect(resourcePath(PODS, { namespace: "a/../b", name: "x?y" })).toBe("/api/v1/namespaces/a%2F..%2Fb/pods/x%3Fy");
});

test("queries leave out what is undefined", () => {
  expect(queryString({ a: undefined })).toBe("");
  expect(queryString({ a: 1, b: true, c: "x=y,z" })).toBe("?a=1&b=true&c=x%3Dy%2Cz");
});

test("label selectors", () => {
  expect(selectorString({})).toBe("");
  expect(
    selectorString({
      matchLabels: { app: "core", tier: "x" },
      matchExpressions: [
        { key: "a", operator: "In", values: ["1", "2"] },
        { key: "b", operator: "NotIn", values: ["3"] },
        { key: "c", operator: "Exists" },
        { key: "d", operator: "DoesNotExist" },
      ],
    }),
  ).toBe("app=core,tier=x,a in (1,2),b notin (3),c,!d");
});

test("a name that somebody else chose is one part of the path, whatever it is", () => {
  for (const name of ["../../secrets/x", "a/b", "a?watch=1", "a#b", "a%2f..", "a\nb"]) {
    const { pathname, search, hash } = new URL(
      resourcePath(PODS, { namespace: name, name, subresource: "portforward" }),
      "http://x",
    );
    expect(pathname.split("/").map(decodeURIComponent)).toEqual(["", "api", "v1", "namespaces", name, "pods", name, "portforward"]);
    expect([search, hash]).toEqual(["", ""]);
  }
});
