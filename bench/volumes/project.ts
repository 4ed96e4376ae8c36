import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A small project that is had without a network: a bare repository and a package beside it. */
export interface Project {
  /** Into the directory, which must not exist. */
  clone(directory: string): void;
  /** What it depends on, where it was cloned to. */
  install(directory: string): void;
  status(directory: string): void;
}

const FILES = 120;
const PACKAGE_FILES = 150;

export function makeProject(base: string): Project {
  const at = (...parts: string[]): string => join(base, ...parts);
  const env = {
    ...process.env,
    ...{ GIT_AUTHOR_NAME: "bench", GIT_AUTHOR_EMAIL: "bench@localhost", GIT_COMMITTER_NAME: "bench" },
    ...{ GIT_COMMITTER_EMAIL: "bench@localhost", GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
    ...{ npm_config_cache: at("npm-cache"), npm_config_update_notifier: "false" },
  };
  mkdirSync(base);
  const run = (command: string, args: string[], cwd: string): unknown => execFileSync(command, args, { cwd, env, stdio: "pipe" });

  writeTree(at("dependency"), PACKAGE_FILES, { name: "dependency", version: "1.0.0" });
  run("npm", ["pack", "--silent"], at("dependency"));
  const tarball = at("dependency", "dependency-1.0.0.tgz");
  writeTree(at("source"), FILES, { name: "project", version: "1.0.0", dependencies: { dependency: `file:${tarball}` } });
  run("git", ["init", "-q"], at("source"));
  run("git", ["add", "."], at("source"));
  run("git", ["commit", "-q", "-m", "all"], at("source"));
  run("git", ["clone", "-q", "--bare", at("source"), at("bare.git")], base);
  return {
    clone: (directory) => void run("git", ["clone", "-q", "--no-local", at("bare.git"), directory], base),
    install: (directory) => void run("npm", ["install", "--offline", "--no-audit", "--no-fund", "--silent"], directory),
    status: (directory) => void run("git", ["status"], directory),
  };
}

/** Files of some kilobytes, in directories of a dozen. */
function writeTree(directory: string, files: number, manifest: object): void {
  for (let made = 0; made < files; made++) {
    const folder = join(directory, "lib", `part-${Math.floor(made / 12)}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `module-${made}.js`), `export const value${made} = ${made};\n`.repeat(1 + ((made * 37) % 300)));
  }
  writeFileSync(join(directory, "package.json"), JSON.stringify(manifest));
}
