import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

/** The programs on the package's page, in their order. */
async function examples(): Promise<string[]> {
  const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
  return [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code = ""]) => code);
}

/** Resolves with what it prints. */
async function run(program: string): Promise<string> {
  // In the package's folder its own name leads to it.
  const args = ["--conditions=@shipside/source", "--input-type=module", "-e", program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(new URL("..", import.meta.url)) });
  return stdout;
}

it("the programs of the package's page run as they stand there", { timeout: 30_000 }, async () => {
  const [library = "", page = ""] = await examples();
  expect(library).toContain("server.listen(8080);");
  const later = `await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address();
    for (const path of ["/api/ok", "/api/broken"]) await fetch(\`http://127.0.0.1:\${port}\${path}\`).then((answer) => answer.text());
    await inspector.settled();`;
  const end = "server.closeAllConnections(); server.close();";
  const shown = await run(`${library.replace("8080", "0").replace("// later", later)}\n${end}`);
  expect(shown).toMatch(/^curl .*\/api\/broken/);
  expect(shown).not.toContain("/api/ok");
  expect(await run(page.replace("serveInspector({ inspector })", "serveInspector({ inspector, port: 0 })"))).toMatch(
    /^http:\/\/localhost:\d+\/#token=[\w-]+\n$/,
  );
});
