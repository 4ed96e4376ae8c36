import { spawn } from "node:child_process";
import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ErrorJson, errorFromJson, isRunning } from "@shipside/core";
import { type ControlClient, connectControl } from "./control/client.ts";
import { daemonError } from "./errors.ts";
import { stateDir } from "./paths.ts";

/**
 * Starts the daemon as a process of its own, which outlives this one, and resolves when it serves. Throws the daemon's own reason
 * (`DAEMON_RUNNING`, `RUNTIME_DIR_UNSAFE`, …), or `DAEMON_START_FAILED` with the path of its log.
 */
export async function startDaemon(options: { timeoutMs?: number } = {}): Promise<{ pid: number; log: string }> {
  const { timeoutMs = 15_000 } = options;
  const log = join(stateDir(), "daemon.log");
  await mkdir(stateDir(), { recursive: true, mode: 0o700 });
  const output = await open(log, "w", 0o600);
  try {
    const source = import.meta.url.endsWith(".ts");
    const program = fileURLToPath(new URL(source ? "./main.ts" : "./main.js", import.meta.url));
    const child = spawn(process.execPath, [...process.execArgv, program], {
      detached: true,
      // It must not hold the folder that somebody happened to stand in.
      cwd: "/",
      stdio: ["ignore", output.fd, output.fd, "ipc"],
    });
    const failed = (why: string): Error =>
      daemonError("DAEMON_START_FAILED", `the daemon did not come up: ${why}`, { hint: `its log is ${log}`, details: { log } });
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

/**
 * Ends the daemon, of whatever version, and resolves when its process is gone. One that doesn't understand us gets SIGTERM, which every
 * version undoes everything on. Throws `DAEMON_UNREACHABLE` where none runs.
 */
export async function stopDaemon(options: { timeoutMs?: number; path?: string } = {}): Promise<{ pid: number }> {
  const { timeoutMs = 20_000, path } = options;
  const client: ControlClient = await connectControl({ anyVersion: true, ...(path !== undefined && { path }) });
  const { pid, identity } = client.hello;
  try {
    const asked = client.call("stop").catch(() => {});
    const { promise, cancel } = cancellableDelay(3_000);
    await Promise.race([asked, promise]);
    cancel();
  } finally {
    await client.close();
  }
  if (pid === process.pid) return { pid };
  const deadline = Date.now() + timeoutMs;
  const runs = async (): Promise<boolean> => (identity === undefined ? answersSignals(pid) : (await isRunning(identity)) === true);
  if (await runs()) signalIfThere(pid);
  while (await runs()) {
    if (Date.now() > deadline) {
      throw daemonError("DAEMON_GONE", `the daemon (pid ${pid}) is still undoing things after ${timeoutMs / 1000} s`, {
        hint: "`shipside status` says when it is gone",
      });
    }
    await cancellableDelay(25).promise;
  }
  return { pid };
}

function answersSignals(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** It may end between the look and the signal. */
function signalIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGTERM");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function cancellableDelay(ms: number): { promise: Promise<void>; cancel(): void } {
  let timer: NodeJS.Timeout | undefined;
  const promise = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  return { promise, cancel: () => clearTimeout(timer) };
}
