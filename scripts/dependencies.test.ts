import { globSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { packages, root } from "./packages.ts";

/**
 * Who may depend on whom. `core` is for everyone and not repeated; `testkit` besides as a devDependency of anyone who lists tests, and
 * as a dependency of the CLI alone (for `demo`).
 */
const allowed: Record<string, readonly string[]> = {
  core: [],
  kube: [],
  hosts: [],
  inspector: [],
  rootless: [],
  testkit: [],
  tunnel: ["kube"],
  envexport: ["kube"],
  relay: ["kube"],
  proxy: ["kube", "relay"],
  volumes: ["kube", "relay"],
  daemon: ["kube", "hosts", "tunnel", "envexport", "relay", "proxy", "volumes", "rootless", "inspector"],
  cli: ["daemon", "testkit"],
};

/** Packages that only one of ours may depend on. */
const reserved: Record<string, string> = { "@kubernetes/client-node": "kube", hostile: "hosts", yargs: "cli" };

/** `from "x"`, `import "x"`, `import("x")`, at the beginning of a statement as the formatter leaves it. */
const importPattern = /(?:^(?:import|export|\})[^"'\n]*\bfrom |^import |\bimport\()["']([^"']+)["']/gm;

const all = packages();
const folderOf = new Map([...all].map(([folder, manifest]) => [manifest.name, folder]));

describe.each([...all])("packages/%s", (folder, manifest) => {
  it("depends on what the table allows", () => {
    const may = allowed[folder];
    expect(may, `packages/${folder} is not in the table`).toBeDefined();
    const ours = Object.keys(manifest.dependencies ?? {}).flatMap((name) => folderOf.get(name) ?? []);
    expect(ours.filter((name) => name !== "core" && !may!.includes(name))).toEqual([]);
    const dev = Object.keys(manifest.devDependencies ?? {}).flatMap((name) => folderOf.get(name) ?? []);
    expect(dev.filter((name) => name !== "testkit" && name !== "core" && !may!.includes(name))).toEqual([]);
  });

  it("uses no library that is another package's business", () => {
    const names = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies });
    expect(names.filter((name) => name in reserved && reserved[name] !== folder)).toEqual([]);
  });

  it("says which Node it runs on", () => {
    expect(manifest.engines?.["node"]).toBe(">=22.19");
  });

  it("imports only what its package.json names, and nothing of another package by a relative path", () => {
    const declared = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
    const inTests = { ...declared, ...manifest.devDependencies, vitest: "", "fast-check": "" };
    const wrong: string[] = [];
    for (const file of globSync(`packages/${folder}/src/**/*.ts`, { cwd: root })) {
      const isTest = /\.test\.ts$|\/fixtures\//.test(file);
      for (const [, specifier] of readFileSync(root + file, "utf8").matchAll(importPattern)) {
        if (specifier === undefined || specifier.startsWith("node:")) continue;
        if (specifier.startsWith(".")) {
          const target = resolve(root, dirname(file), specifier);
          if (!target.startsWith(`${root}packages/${folder}/`)) wrong.push(`${file}: ${specifier}`);
          continue;
        }
        const name = specifier
          .split("/")
          .slice(0, specifier.startsWith("@") ? 2 : 1)
          .join("/");
        if (!(name in (isTest ? inTests : declared)) && name !== manifest.name) wrong.push(`${file}: ${specifier}`);
      }
    }
    expect(wrong).toEqual([]);
  });
});

it("gives every dependency one line in docs/dependencies.md", () => {
  const page = readFileSync(`${root}docs/dependencies.md`, "utf8");
  const rootManifest = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { devDependencies: Record<string, string> };
  const manifests = [...all.values(), rootManifest as never];
  const names = new Set(
    manifests
      .flatMap((manifest) => [...Object.keys(manifest.dependencies ?? {}), ...Object.keys(manifest.devDependencies ?? {})])
      .filter((name) => !folderOf.has(name)),
  );
  expect([...names].filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  const listed = [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name!);
  expect(listed.filter((name) => !names.has(name))).toEqual([]);
});

it("pins pnpm to one version everywhere", () => {
  const { packageManager } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { packageManager: string };
  for (const file of ["README.md", "CONTRIBUTING.md"]) {
    const pins = new Set(readFileSync(root + file, "utf8").match(/pnpm@[\d.]+\d/g));
    expect([...pins], file).toEqual([packageManager]);
  }
});
