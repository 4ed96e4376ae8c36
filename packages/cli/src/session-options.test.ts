import { resolve } from "node:path";
import { expect, test } from "vitest";
import { sessionOptions } from "./session-options.ts";

test.each([
  [["deployment/core"], "deployment/core", undefined],
  [["deployment", "core"], "deployment/core", undefined],
  [["core"], "core", undefined],
  [["deployment/core", "core.json"], "deployment/core", "core.json"],
  [["deployment", "core", "core.json"], "deployment/core", "core.json"],
  // No object has such a name (RFC 1123).
  [["core", ".env"], "core", ".env"],
  [["core", "out/core.json"], "core", "out/core.json"],
  // A slip in a name, which is told as such.
  [["deployment", "Core"], "deployment/Core", undefined],
])("env %j: of which workload, in which file", (words, workload, file) => {
  const options = sessionOptions("env", { words, options: {} } as unknown as Parameters<typeof sessionOptions>[1], {});
  expect(options.workload).toBe(workload);
  expect(options.envFile).toEqual(file && { path: resolve(file) });
});
