import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { abortError } from "@shipside/core";
import { daemonError } from "../errors.ts";
import type { Elevation } from "./elevate.ts";

/**
 * Runs a program of ours as root: gives it one line, and resolves with the one that it answers. Its input ends when we go before that,
 * which takes it back. Throws `ROOT_REFUSED` where it never came to run.
 */
export async function askAsRoot(elevation: Elevation, line: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  const { how, command, env, asks } = elevation;
  const [program, ...args] = command;
  const child = spawn(program, args, { env, cwd: "/", stdio: ["pipe", "pipe", asks ? "inherit" : "pipe"] });
  const input = child.stdin!;
  const said = child.stderr ? text(child.stderr).catch(() => "") : Promise.resolve("");
  input.on("error", () => {});
  input.write(`${line}\n`);
  const onAbort = (): void => void input.end();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await new Promise<string>((resolve, reject) => {
      const refused = async (why: string): Promise<void> => {
        if (signal.aborted) return reject(abortError(signal));
        const words = (await said).trim();
        reject(
          daemonError("ROOT_REFUSED", `${how === "root" ? program : how} gave no root: ${words || why}`, {
            hint: asks
              ? "who may use sudo decides the machine's owner; `shipside start --no-root` keeps everything that needs no root"
              : "run `shipside start` in a terminal, where a password can be asked for, or `shipside start --no-root`",
          }),
        );
      };
      createInterface({ input: child.stdout! }).once("line", resolve);
      child.once("error", (error) => void refused(error.message));
      child.once("close", (code, by) => void refused(`it ended with ${by ?? `exit code ${code}`}`));
    });
  } finally {
    signal.removeEventListener("abort", onAbort);
    input.end();
  }
}
