import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";
import { root } from "./packages.ts";

const pages = globSync(["*.md", "docs/**/*.md", "packages/*/README.md", "examples/*/README.md"], { cwd: root }).sort();
const read = (page: string): string => readFileSync(join(root, page), "utf8");
const tests = globSync(["packages/*/src/**/*.test.ts", "e2e/*.test.ts", "scripts/*.test.ts", "examples/*/*.test.ts"], {
  cwd: root,
});

/** As GitHub makes them of headings. */
const anchors = (page: string): string[] =>
  [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\w\- ]/g, "")
      .replaceAll(" ", "-"),
  );

it.each(pages)("%s: what it links to, and the tests that it names, are there", (page) => {
  const wrong: string[] = [];
  for (const [, to] of read(page).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(to!)) continue;
    const [path = "", anchor] = to!.split("#");
    const target = path === "" ? page : normalize(join(dirname(page), path));
    const there = existsSync(join(root, target)) && (anchor === undefined || anchors(target).includes(anchor));
    if (!there) wrong.push(to!);
  }
  for (const [, name] of read(page).matchAll(/`([\w./-]+\.test\.ts)`/g))
    if (!tests.some((test) => `/${test}`.endsWith(`/${name}`))) wrong.push(name!);
  expect(wrong).toEqual([]);
});
