import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const script = new URL("build.ts", import.meta.url).pathname;
let dir: string;
const write = (file: string, text: string): void => writeFileSync(join(dir, "packages/one", file), text);
const dist = (): string[] => readdirSync(join(dir, "packages/one/dist")).sort();
const build = (): Promise<{ failed: boolean; said: string }> =>
  new Promise((resolve) => {
    execFile(process.execPath, [script, "--quiet"], { cwd: dir }, (error, stdout, stderr) =>
      resolve({ failed: error !== null, said: stdout + stderr }),
    );
  });

beforeAll(() => {
  dir = realpathSync(mkdtempSync(join(tmpdir(), "shipside-build-")));
  mkdirSync(join(dir, "packages/one/src"), { recursive: true });
  mkdirSync(join(dir, "packages/one/dist"));
  // tsup reads the root's.
  writeFileSync(join(dir, "package.json"), JSON.stringify({ type: "module" }));
  write("package.json", JSON.stringify({ name: "one", version: "1.0.0", type: "module" }));
  write("tsconfig.json", "{}");
  write("dist/index.d.ts", "// a declaration, which is made by another");
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("a build that fails leaves what was built before; one that succeeds leaves nothing older", { timeout: 60_000 }, async () => {
  write("src/other.ts", "export const other = 1;");
  write("src/index.ts", 'export const load = () => import("./other.ts");');
  expect(await build()).toMatchObject({ failed: false });
  const before = dist();
  expect(before).toEqual(
    expect.arrayContaining(["index.js", "index.js.map", "index.d.ts", expect.stringMatching(/^other-.*\.js$/)]),
  );
  expect(JSON.parse(readFileSync(join(dir, "packages/one/dist/index.js.map"), "utf8")).sources).toEqual(["../src/index.ts"]);

  write("src/other.ts", "export const other = ;");
  expect(await build()).toMatchObject({ failed: true, said: expect.stringContaining("other.ts") });
  expect(dist()).toEqual(before);

  write("src/index.ts", "export const load = 2;");
  expect(await build()).toMatchObject({ failed: false });
  expect(dist()).toEqual(["index.d.ts", "index.js", "index.js.map"]);
  expect(globSync("packages/one/.dist-*", { cwd: dir })).toEqual([]);
});
