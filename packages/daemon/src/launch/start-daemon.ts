import { spawn } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { type ErrorJson, errorFromJson } from "@shipside/core";
import { daemonError } from "../errors.ts";
import { logPath, rawLogPath } from "../log-file.ts";
import { stateDir } from "../paths.ts";
import { daemonCommand } from "./daemon-command.ts";

/**
 * Starts the daemon alone, with the rights of this process, as a process of its own which outlives this one, and resolves when it
 * serves. Throws the daemon's own reason (`DAEMON_RUNNING`, `RUNTIME_DIR_UNSAFE`, …), or `DAEMON_START_FAILED` with the path of its log.
 */
export async function startDaemon(options: { timeoutMs?: number } = {}): Promise<{ pid: number; log: string }> {
  const { timeoutMs = 15_000 } = options;
  const log = logPath(stateDir());
  await mkdir(stateDir(), { recursive: true, mode: 0o700 });
  const output = await open(rawLogPath(stateDir()), "a", 0o600);
  try {
    const [program, ...args] = daemonCommand();
    const child = spawn(program, args, {
      detached: true,
      // It must not hold the folder that somebody happened to stand in.
      cwd: "/",
      stdio: ["ignore", output.fd, output.fd, "ipc"],
    });
    const failed = (why: string): Error =>
      daemonError("DAEMON_START_FAILED", `the daemon did not come up: ${why}`, {
        hint: `\`shipside logs\` shows its log, ${log}`,
        details: { log },
      });
    const word = await new Promise<{ ready?: true; error?: ErrorJson }>((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill("SIGKILL");
        reject(failed(`no word from it within ${timeoutMs} ms`));
      }, timeoutMs);
      child.once("message", (message) => {
        clearTimeout(timer);
        resolve(message as { ready?: true; error?: ErrorJson });
      });
      child.once("error", (error) => reject(failed(error.message)));
      child.once("exit", (code, signal) => {
        clearTimeout(timer);
        reject(failed(`it ended with ${signal ?? `exit code ${code}`}`));
      });
    });
    if (word.error) throw errorFromJson(word.error);
    if (child.connected) child.disconnect();
    child.unref();
    return { pid: child.pid!, log };
  } finally {
    await output.close();
  }
}
