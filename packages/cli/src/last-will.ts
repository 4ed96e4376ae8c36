import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Closable } from "@shipside/core";
import { ownCommandLine } from "./as-root.ts";

/** Waits for a word, or the end of its input without one: then, when its parent is gone, and what ends with that has ended. */
const SCRIPT = `
read -r _ && exit
tries=0
while kill -0 "$PPID" && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done 2> /dev/null
sleep 0.5
exec "$@"`;

/**
 * From here on somebody runs `shipside clean` where this process ends before `close()`, killed by SIGKILL as may be: a shell that does nothing
 * else, in no process group and at no terminal of ours. Nobody can say yes to it, so it leaves alone what is in clusters. Not on Windows.
 */
export function leaveWill(): Closable {
  const [program = "", ...words] = ownCommandLine("clean", "--quiet");
  const line = [program, ...process.execArgv, ...words];
  const child = spawn("sh", ["-c", SCRIPT, "shipside", ...line], { stdio: ["pipe", "ignore", "ignore"], detached: true, cwd: "/" });
  child.on("error", () => {});
  child.stdin.on("error", () => {});
  child.unref();
  const close = async (): Promise<void> => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    child.ref();
    const ended = once(child, "exit");
    child.stdin.end("\n");
    await ended;
  };
  return { close, [Symbol.asyncDispose]: close };
}
