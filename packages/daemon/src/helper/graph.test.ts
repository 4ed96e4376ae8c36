import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const HOME: Readonly<Record<string, string>> = {
  "@shipside/core": "../../../core/src/index.ts",
  "@shipside/hosts/write": "../../../hosts/src/write.ts",
};
const IMPORT = /^(?:import|export|\})(?! type\b)[^"'\n]*\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm;

/** Every module that a program reaches, those that are only loaded later included, and what it takes from elsewhere. */
function reach(start: string): { modules: Set<string>; foreign: Set<string> } {
  const modules = new Set<string>();
  const foreign = new Set<string>();
  const visit = (url: URL): void => {
    if (modules.has(url.href)) return;
    modules.add(url.href);
    for (const [, ...specifiers] of readFileSync(url, "utf8").matchAll(IMPORT)) {
      const specifier = specifiers.find((each) => each !== undefined) ?? "";
      if (specifier.startsWith(".")) visit(new URL(specifier, url));
      else if (HOME[specifier]) visit(new URL(HOME[specifier], import.meta.url));
      else if (!specifier.startsWith("node:")) foreign.add(specifier);
    }
  };
  visit(new URL(start, import.meta.url));
  return { modules, foreign };
}

test("what runs as root is ours alone: core, the writing half of hosts, and this folder", () => {
  const { modules, foreign } = reach("./main.ts");
  expect([...foreign]).toEqual([]);
  const outside = [...modules].filter(
    (href) => !/\/core\/src\/|\/hosts\/src\/|\/daemon\/src\/(helper\/|(errors|version)\.ts$)/.test(href),
  );
  expect(outside).toEqual([]);
  expect(modules.size).toBeGreaterThan(25);
  // The same look finds what is foreign where there is some.
  expect([...reach("../helper-hosts.ts").foreign]).toContain("@shipside/hosts");
});
