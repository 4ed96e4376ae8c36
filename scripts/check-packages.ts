// Packs every package as it would be published and holds the tarball to what its users' tools expect: publint (fields and files),
// are-the-types-wrong (what TypeScript finds), and nothing that names this workspace.
import { execFileSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const out = mkdtempSync(join(tmpdir(), "shipside-pack-"));
const run = (command: string, args: string[], cwd?: string): string =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const pnpm = process.env["npm_execpath"];
let failed = 0;

try {
  for (const manifest of globSync("packages/*/package.json").sort()) {
    const dir = manifest.replace("/package.json", "");
    const { name } = JSON.parse(readFileSync(manifest, "utf8")) as { name: string };
    try {
      const args = ["pack", "--json", "--pack-destination", out];
      const packed = JSON.parse(pnpm ? run(pnpm, args, dir) : run("npx", ["--yes", "pnpm", ...args], dir)) as {
        filename: string;
        files: Array<{ path: string }>;
      };
      const tarball = join(out, packed.filename.split("/").at(-1)!);
      const stray = packed.files.map((file) => file.path).filter((path) => /\.test\.|fixture|^src\/|tsbuildinfo/.test(path));
      if (stray.length > 0) throw new Error(`packs files that nobody needs: ${stray.join(", ")}`);
      const published = JSON.parse(run("tar", ["-xzOf", tarball, "package/package.json"])) as Record<string, unknown>;
      if (/workspace:|@shipside\/source/.test(JSON.stringify(published)))
        throw new Error("the published package.json names the workspace");
      run("publint", ["run", tarball, "--strict"]);
      run("attw", [tarball, "--profile", "esm-only"]);
      console.log(`${name}: ${packed.files.length} files`);
    } catch (error) {
      failed++;
      const { stdout = "", stderr = "", message } = error as { stdout?: string; stderr?: string; message: string };
      console.error(`${name}: ${stdout}${stderr}` || `${name}: ${message}`);
      if (!stdout && !stderr) console.error(message);
    }
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}
process.exitCode = failed === 0 ? 0 : 1;
