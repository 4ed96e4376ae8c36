import { chmod, cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildOnce } from "./cli.harness.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The version of {@link newerShipside}: above that of the packages here, whatever that is. */
export const NEWER = "9999.0.0";

/** What is built here, installed elsewhere as a release that comes later. */
export async function newerShipside(): Promise<AsyncDisposable & { bin: string }> {
  await buildOnce();
  const dir = await mkdtemp(join(tmpdir(), "shipside-newer-"));
  await chmod(dir, 0o755);
  await symlink(join(root, "node_modules"), join(dir, "node_modules"));
  for (const name of await readdir(join(root, "packages"))) {
    const from = join(root, "packages", name);
    const to = join(dir, "packages", name);
    await cp(from, to, { recursive: true, verbatimSymlinks: true, filter: (path) => path !== join(from, "src") });
    const manifest = JSON.parse(await readFile(join(from, "package.json"), "utf8"));
    await writeFile(join(to, "package.json"), JSON.stringify({ ...manifest, version: NEWER }));
  }
  return {
    bin: join(dir, "packages/cli/dist/bin.js"),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}
