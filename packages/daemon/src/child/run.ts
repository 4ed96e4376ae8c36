import { spawn } from "node:child_process";
import { access, constants, stat } from "node:fs/promises";
import { constants as os } from "node:os";
import { delimiter, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf } from "@shipside/core";
import { daemonError } from "../errors.ts";

export interface RunCommandOptions {
  command: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** "stderr": the child's output goes to our standard error, because ours carries something else. */
  stdout?: "inherit" | "stderr";
  /** Ends the child: SIGTERM, and SIGKILL after `graceMs`. */
  signal?: AbortSignal;
  /** In ms. Default 5,000. */
  graceMs?: number;
}

export interface RunningCommand {
  readonly pid: number;
  /** The child's exit code; 128 + n where signal n ended it, as shells say it. */
  readonly exited: Promise<number>;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Runs a command with our standard input, output and error. Throws `COMMAND_NOT_FOUND` or `COMMAND_FAILED`, as shells do with 127
 * and 126.
 */
export async function runCommand(options: RunCommandOptions): Promise<RunningCommand> {
  const { command, env, cwd, signal, stdout = "inherit", graceMs = 5_000 } = options;
  const [file = "", ...args] = command;
  const child = spawn(file, args, { env, cwd, stdio: ["inherit", stdout === "inherit" ? "inherit" : 2, "inherit"] });
  const exited = new Promise<number>((resolve) => {
    child.once("exit", (code, by) => resolve(code ?? 128 + (by ? os.signals[by] : 0)));
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (cause) => reject(startError(file, cause)));
  });
  child.on("error", () => {});

  const kill = (by: NodeJS.Signals): void => void child.kill(by);
  const onAbort = async (): Promise<void> => {
    kill("SIGTERM");
    await Promise.race([exited, delay(graceMs, undefined, { ref: false })]);
    kill("SIGKILL");
  };
  signal?.addEventListener("abort", () => void onAbort(), { once: true });
  if (signal?.aborted) void onAbort();
  return { pid: child.pid!, exited, kill };
}

/**
 * Throws as `runCommand` does, before anything is run: a command may be wrapped in another, which would fail in words of its own, and
 * a folder in PATH that may not be looked into makes no command "not permitted".
 */
export async function assertRunnable(file: string, path = ""): Promise<void> {
  const candidates = file.includes("/") ? [file] : path.split(delimiter).map((dir) => join(dir || ".", file));
  let failure: unknown;
  for (const candidate of candidates) {
    const found = await stat(candidate).catch(() => undefined);
    if (!found?.isFile()) continue;
    try {
      await access(candidate, constants.X_OK);
      return;
    } catch (error) {
      failure ??= error;
    }
  }
  throw startError(file, failure ?? Object.assign(new Error("no such file"), { code: "ENOENT" }));
}

function startError(file: string, cause: unknown): Error {
  const missing = codeOf(cause) === "ENOENT";
  const what = `could not run ${file}: ${codeOf(cause) ?? String(cause)}`;
  return daemonError(missing ? "COMMAND_NOT_FOUND" : "COMMAND_FAILED", what, {
    ...(missing && { hint: "what stands after `--` is run as it is, without a shell: `-- sh -c '…'` gives one" }),
    cause,
  });
}
