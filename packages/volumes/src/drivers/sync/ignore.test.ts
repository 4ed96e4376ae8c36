import { expect, test } from "vitest";
import { ignoreRule } from "./ignore.ts";

test("names anywhere, paths from the root, and parts of names", () => {
  const ignored = ignoreRule(["node_modules", "*.tmp", "build/", "/top", "a/*/c"]);
  const all = ["node_modules", "x/node_modules", "f.tmp", "x/f.tmp", "build", "x/build", "top", "a/b/c"];
  expect(all.filter((path) => !ignored(path))).toEqual([]);
  const others = ["node_modules2", "tmp", "x/top", "a/c", "a/b/b/c", "fatmp"];
  expect(others.filter(ignored)).toEqual([]);
  expect(ignoreRule([])("anything")).toBe(false);
});
