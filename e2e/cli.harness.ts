import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chown, mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

/** The user of these tests where they run as root: uid and gid. */
export const NOBODY = 65534;
const root = fileURLToPath(new URL("..", import.meta.url));

/** The command line as it is shipped, built where its sources are newer. */
export const bin = join(root, "packages/cli/dist/bin.js");

/** One build at a time: test files run side by side. */
async function build(): Promise<void> {
  const lock = join(tmpdir(), "shipside-e2e-build.lock");
  for (let waited = 0; ; waited += 100) {
    try {
      await mkdir(lock);
      break;
    } catch {
      // Left by a run that was killed.
      if (waited >= 60_000) await rm(lock, { recursive: true, force: true });
      await delay(100);
    }
  }
  try {
    const child = spawn(process.execPath, ["scripts/build.ts", "--if-stale", "--quiet"], { cwd: root, stdio: "inherit" });
    const [code] = await once(child, "exit");
    if (code !== 0) throw new Error(`the build ended with ${code}`);
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

let built: Promise<void> | undefined;

/** Builds what is older than its sources, once a test file. */
export const buildOnce = (): Promise<void> => (built ??= build());

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
}

/** The command line as a user with a home of their own has it, and a look at what it leaves there. */
export interface User extends AsyncDisposable {
  readonly home: string;
  start(args: readonly string[], options?: RunOptions): ChildProcess;
  run(args: readonly string[], options?: RunOptions): Promise<Ran>;
  /** Files that something made: journals, sockets, private names. The address map is meant to stay. */
  left(): Promise<string[]>;
}

export interface UserOptions {
  asSelf?: boolean;
  /** A command line that runs another one as the user, elsewhere than this process is. */
  enter?: (words: readonly string[]) => readonly string[];
}

/**
 * A user who isn't root: the machine's hosts file is safe from these tests, and what works works without privilege. Where the tests
 * don't run as root, or with `asSelf`, it is the user who runs them.
 */
export async function newUser({ asSelf = false, enter }: UserOptions = {}): Promise<User> {
  await buildOnce();
  const home = await mkdtemp(join(tmpdir(), "shipside-e2e-"));
  const dirs = { XDG_STATE_HOME: join(home, "state"), XDG_RUNTIME_DIR: join(home, "run"), TMPDIR: join(home, "tmp") };
  for (const dir of Object.values(dirs)) await mkdir(dir, { mode: 0o700 });
  const other = process.getuid?.() === 0 && !asSelf;
  if (other) for (const dir of [home, ...Object.values(dirs)]) await chown(dir, NOBODY, NOBODY);

  const start: User["start"] = (args, { env = {}, cwd = "/" } = {}) => {
    const { KUBECONFIG: _kubeconfig, ...inherited } = process.env;
    const [program, ...words] = enter ? enter([process.execPath, bin, ...args]) : [process.execPath, bin, ...args];
    const child = spawn(program!, words, {
      env: { ...inherited, NO_COLOR: "1", HOME: home, ...dirs, ...env },
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      ...(other && !enter && { uid: NOBODY, gid: NOBODY }),
    });
    child.on("error", () => {});
    return child;
  };
  return {
    home,
    start,
    async run(args, options) {
      const child = start(args, options);
      const [stdout, stderr, [code]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, "exit")]);
      return { code: code as number | null, stdout, stderr };
    },
    async left() {
      const files: string[] = [];
      for (const dir of Object.values(dirs)) {
        const entries = await readdir(dir, { recursive: true, withFileTypes: true });
        files.push(...entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name)));
      }
      return files.filter((file) => !/addresses\.json|daemon\.(log(\.\d)?|stderr)$|node-compile-cache/.test(file));
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}

/** Resolves when the child has said something that fits; rejects with all it said where it ends before. */
export function untilSaid(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const onData = (chunk: Buffer): void => {
      said += chunk;
      if (pattern.test(said)) resolve(said);
    };
    child.stderr!.on("data", onData);
    child.stdout!.on("data", onData);
    child.once("exit", (code) => reject(new Error(`ended with ${code} and said:\n${said}`)));
  });
}
