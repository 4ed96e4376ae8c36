import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// One project a package, so that a run names where it failed. `@shipside/source` makes the packages resolve to each other's
// sources: no test needs a build.
const conditions = ["@shipside/source"];
const soak = process.env["SHIPSIDE_SOAK"] === "1";

/** Tests wait for clocks, sockets and processes three quarters of their time: two at once take half as long, on two cores too. */
const workers = Math.min(4, Math.max(2, availableParallelism() - 1));

/** End-to-end tests beside which nothing runs: they judge how long a caller waits, or use the machine's own hosts file. */
const alone = [
  "cli.startup",
  "demo.rootless",
  "intercept.availability",
  "intercept.local",
  "portforward.network",
  "teleport.demo",
  "teleport.scale",
  "tunnel.scale",
].map((name) => `${name}.test.ts`);

interface Which {
  include?: string[];
  exclude?: string[];
  /** After all the others, one file at a time. */
  last?: boolean;
}

const project = (name: string, root: string, { include = ["**/*.test.ts"], exclude = [], last = false }: Which = {}) => ({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    name,
    root,
    include,
    exclude: ["**/node_modules/**", "**/dist/**", ...exclude],
    maxWorkers: last ? 1 : workers,
    sequence: { groupOrder: last ? 1 : 0 },
    testTimeout: soak ? 30 * 60_000 : 40_000,
    hookTimeout: 60_000,
    // What is waited for, not what is measured: a bound that a user is promised stands in its test.
    expect: { poll: { timeout: 10_000 } },
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
      project("e2e", "e2e", { exclude: alone }),
      project("e2e-alone", "e2e", { include: alone, last: true }),
      project("examples", "examples"),
      project("repo", "scripts"),
    ],
  },
});
