import { readdirSync } from "node:fs";
import { defineConfig } from "vitest/config";

// One project a package, so that a run names where it failed. `@shipside/source` makes the packages resolve to each other's
// sources: no test needs a build.
const conditions = ["@shipside/source"];
const soak = process.env["SHIPSIDE_SOAK"] === "1";

const project = (name: string, root: string) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    name,
    root,
    include: ["**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/dist/**"],
    testTimeout: soak ? 30 * 60_000 : 20_000,
    hookTimeout: 30_000,
    // What is waited for, not what is measured: a bound that a user is promised stands in its test.
    expect: { poll: { timeout: 5_000 } },
    // Processes, sockets and clocks are real, and a shared runner can stand still for a second. What passes only the second time is
    // named at the end of the run.
    retry: process.env["CI"] ? 2 : 0,
  },
});

export default defineConfig({
  test: {
    reporters: process.env["CI"]
      ? ["default", "./scripts/flaky-reporter.ts", ["json", { outputFile: "node_modules/.cache/vitest.json" }]]
      : ["default"],
    projects: [
      ...readdirSync("packages").map((name) => project(name, `packages/${name}/src`)),
      project("e2e", "e2e"),
      project("examples", "examples"),
      project("repo", "scripts"),
    ],
  },
});
