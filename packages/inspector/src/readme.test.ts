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

it("the programs of the package's page run as they stand there", { timeout: 30_000 }, async () => {
  const [library = "", page = ""] = await examples();
  expect(library).toContain("server.listen(8080);");
  const later = `await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address();
    for (const path of ["/api/ok", "/api/broken"]) await fetch(\`http://127.0.0.1:\${port}\${path}\`).then((answer) => answer.text());
    await inspector.settled();`;
  const program = [
    library.replace("8080", "0").replace("// later", later),
    page.replace("serveInspector({ inspector })", "serveInspector({ inspector, port: 0 })"),
    "server.closeAllConnections(); server.close();",
  ].join("\n");
  // In the package's folder its own name leads to it.
  const args = ["--conditions=@shipside/source", "--input-type=module", "-e", program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: fileURLToPath(new URL("..", import.meta.url)) });
  expect(stdout).toMatch(/^curl .*\/api\/broken.*\nhttp:\/\/localhost:\d+\/#token=[\w-]+\n$/s);
  expect(stdout).not.toContain("/api/ok");
});
