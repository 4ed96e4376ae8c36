import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";

/** Runs `mount`. Rejects with what it says. */
export const mount = (args: readonly string[]): Promise<void> => run("mount", args);

/** Runs a program that is silent where all is well. Rejects with what it says. */
export async function run(program: string, args: readonly string[], input = ""): Promise<void> {
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "pipe"] });
  child.stdin.on("error", () => {});
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  child.stdin.end(input);
  const [code, said] = await Promise.all([ended, text(child.stderr)]);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${said.trim()}`);
}
