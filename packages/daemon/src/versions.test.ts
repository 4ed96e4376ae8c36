import { expect, test } from "vitest";
import { compareVersions } from "./versions.ts";

test("the order of semver.org's own example, and what stands around it", () => {
  const ordered = [
    "unknown",
    "0.0.0-0",
    "0.0.0",
    "0.9.10",
    "0.10.0",
    ...["alpha", "alpha.1", "alpha.beta", "beta", "beta.2", "beta.11", "rc.1"].map((pre) => `1.0.0-${pre}`),
    "1.0.0",
    "1.0.1",
  ];
  for (const [i, a] of ordered.entries())
    for (const [j, b] of ordered.entries()) expect(Math.sign(compareVersions(a, b)), `${a} ${b}`).toBe(Math.sign(i - j));
  expect(compareVersions("1.0.0+a", "v1.0.0")).toBe(0);
});
