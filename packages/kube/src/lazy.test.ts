import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { tempDir } from "./fixtures/fake-api.ts";

const run = promisify(execFile);
const here = fileURLToPath(new URL(".", import.meta.url));

test("importing the package loads nothing of @kubernetes/client-node, nor does listing contexts", async () => {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const kube = await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});
    await kube.listContexts({ kubeconfig: "/nowhere" }).catch(() => {});
    console.log(JSON.stringify({ ours: loaded.filter((url) => url.includes("/kube/")).length, theirs: loaded.filter((url) => url.includes("client-node@") || /node_modules\\/(undici|openid-client)\\//.test(url)) }));
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=@shipside/source", "--input-type=module", "-e", script],
    { cwd: here },
  );
  const { ours, theirs } = JSON.parse(stdout) as { ours: number; theirs: string[] };
  expect(ours).toBeGreaterThan(5);
  expect(theirs).toEqual([]);
});

test("importing the package loads nothing of Node's fetch client either, as an import of node:http would", async () => {
  const script = `
    await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});
    console.log(process.moduleLoadList.filter((name) => name.includes("undici")).length);
  `;
  const { stdout } = await run(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", script], {
    cwd: here,
  });
  expect(stdout.trim()).toBe("0");
});

test("client-node is imported in one place, dynamically, and its types nowhere else", async () => {
  const sources = (await readdir(here, { recursive: true })).filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"));
  const naming: string[] = [];
  for (const file of sources) {
    const text = await readFile(`${here}${file}`, "utf8");
    if (/(from|import)\s*\(?\s*"@kubernetes\//.test(text)) naming.push(file);
    expect(text).not.toMatch(/^import .*"@kubernetes\//m);
  }
  expect(naming).toEqual(["client-node.ts"]);
});

test("no type of client-node is in the declarations that users see", async () => {
  await using dir = await tempDir();
  const tsc = fileURLToPath(new URL("../../../node_modules/typescript/bin/tsc", import.meta.url));
  // Whether the packages it refers to are built is no matter here: the declarations are written all the same.
  await run(process.execPath, [
    tsc,
    "-p",
    join(here, "..", "tsconfig.json"),
    "--outDir",
    dir.path,
    "--tsBuildInfoFile",
    join(dir.path, "info"),
  ]).catch(() => {});
  const seen = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file) || !existsSync(file)) return;
    seen.add(file);
    const text = readFileSync(file, "utf8");
    expect(text, file).not.toContain("@kubernetes/");
    for (const [, next] of text.matchAll(/(?:from|import\()\s*"(\.[^"]+)"/g))
      visit(join(file, "..", next!.replace(/\.[tj]s$/, ".d.ts")));
  };
  visit(join(dir.path, "index.d.ts"));
  expect([...seen].map((file) => file.slice(dir.path.length + 1))).toEqual(
    expect.arrayContaining(["index.d.ts", "client.d.ts", "cluster.d.ts", "watch.d.ts"]),
  );
});
