import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const here = fileURLToPath(new URL(".", import.meta.url));

test("importing the package loads nothing of @kubernetes/client-node, nor does listing contexts", async () => {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const kube = await import(${JSON.stringify(new URL("index.ts", import.meta.url).href)});
    await kube.listContexts({ kubeconfig: "/nowhere" }).catch(() => {});
    console.log(JSON.stringify({ ours: loaded.filter((url) => url.includes("/kube/")).length, theirs: loaded.filter((url) => url.includes("client-node@") || /node_modules\\/(undici|openid-client|js-yaml)\\//.test(url)) }));
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
