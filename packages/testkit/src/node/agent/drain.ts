import type { ChildProcess } from "node:child_process";
import { setTimeout as delay, setImmediate as nextLook } from "node:timers/promises";

/** Something that outlived its process and goes on talking is not listened to for longer than so many times the silence. */
const MOST_ROUNDS = 20;

/**
 * Waits, after a process is gone, until its output has ended, or until nothing has come of it for `quietMs`: something else may still
 * hold it. What lies there unread counts as come, however long this process itself has stood still: it is looked at before the clock is.
 */
export async function untilDrained(child: ChildProcess, quietMs: number): Promise<void> {
  const outputs = [child.stdout, child.stderr].filter((output) => output !== null);
  let heard = false;
  const onData = (): void => {
    heard = true;
  };
  for (const output of outputs) output.on("data", onData);
  const open = (): boolean => outputs.some((output) => !output.readableEnded && !output.destroyed);
  const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  for (let round = 0; open() && round < MOST_ROUNDS; round++) {
    heard = false;
    await Promise.race([closed, delay(quietMs)]);
    // Timers come before what can be read.
    await nextLook();
    // Who is told slowly has it all the same.
    if (!heard && !outputs.some((output) => output.isPaused())) break;
  }
  for (const output of outputs) output.off("data", onData);
}
