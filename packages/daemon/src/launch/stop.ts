import { isRunning } from "@shipside/core";
import { type ControlClient, connectControl } from "../control/client.ts";
import { daemonError } from "../errors.ts";
import type { HelperRecord } from "./record.ts";

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

/** Resolves when the helper is gone, which it is soon after its daemon; false where it isn't after `timeoutMs` (default 10,000). */
export async function helperGone(record: HelperRecord, timeoutMs = 10_000): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (await record.running()) {
    if (Date.now() > deadline) return false;
    await cancellableDelay(25).promise;
  }
  return true;
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
