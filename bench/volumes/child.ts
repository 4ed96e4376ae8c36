import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Program {
  child: ChildProcess;
  /** The first line that it printed. */
  said: string;
  /** Those after it. */
  lines: Interface;
}

/** Starts a program of this directory with its options, waits for its first line, and ends it with the stack by the end of its stdin. */
export async function startProgram(stack: AsyncDisposableStack, name: string, options: object): Promise<Program> {
  const file = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
  // As the daemon's process is started: `daemonCommand`.
  const args = ["--max-semi-space-size=2", "--conditions=@shipside/source", file, JSON.stringify(options)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  stack.defer(() => stop(child, () => child.stdin!.end()));
  const lines = createInterface(child.stdout!);
  const first = once(lines, "line") as Promise<[string]>;
  const gone = once(child, "exit").then((): never => {
    throw new Error(`${name} of the benchmark has ended`);
  });
  gone.catch(() => {});
  const [said] = await Promise.race([first, gone]);
  return { child, said, lines };
}

/** Waits for its end. */
export async function stop(child: ChildProcess, how: () => void): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  how();
  await gone;
}
