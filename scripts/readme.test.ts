import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, it, onTestFinished } from "vitest";
import { root } from "./packages.ts";

const BLOCK = /^```(?:ts|js)\n([\s\S]*?)^```$/gm;

/** Where every package of ours is found by its name, and no other tool looks. */
const PLACE = join(root, "packages/daemon/node_modules/.cache");

it("every block of code in a README or a page of the docs is a program by itself, as the types say", async () => {
  await mkdir(PLACE, { recursive: true });
  const dir = await mkdtemp(join(PLACE, "readme-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const files: string[] = [];
  for (const page of globSync(["README.md", "docs/*.md", "packages/*/README.md"], { cwd: root }).sort()) {
    const text = readFileSync(join(root, page), "utf8");
    for (const { 1: code, index } of text.matchAll(BLOCK)) {
      const name = `${page.replaceAll("/", "_")}-line-${text.slice(0, index).split("\n").length}.ts`;
      await writeFile(join(dir, name), `${code}\nexport {};\n`);
      files.push(name);
    }
  }
  expect(files.length).toBeGreaterThan(15);
  const compilerOptions = {
    ...{ composite: false, declaration: false, emitDeclarationOnly: false, noEmit: true },
    ...{ allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false },
  };
  await writeFile(
    join(dir, "tsconfig.json"),
    JSON.stringify({ extends: join(root, "tsconfig.base.json"), compilerOptions, files }),
  );
  const tsc = promisify(execFile)(join(root, "node_modules/.bin/tsc"), ["-p", dir, "--pretty", "false"]);
  expect(await tsc.catch(({ stdout }: { stdout: string }) => ({ stdout }))).toMatchObject({ stdout: "" });
});
