import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { untilDrained } from "./drain.ts";

const run = (script: string): { child: ChildProcess; said: () => string } => {
  const child = spawn("sh", ["-c", script], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stdout.on("data", (chunk) => (said += chunk));
  return { child, said: () => said };
};
const standStill = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);

test("what was written while this process stood still is heard, though the time is over", async () => {
  const { child, said } = run("(sleep 0.2; echo late; exec sleep 1) & exit 3");
  await once(child, "exit");
  const drained = untilDrained(child, 50);
  standStill(500);
  await drained;
  expect(said()).toBe("late\n");
});

test("it doesn't wait for who holds the output and says nothing, nor for ever for who says something", async () => {
  const silent = run("echo said; sleep 15 & exit 0");
  await once(silent.child, "exit");
  const began = performance.now();
  await untilDrained(silent.child, 20);
  expect(silent.said()).toBe("said\n");
  const talking = run("(for i in $(seq 1500); do echo $i; sleep 0.01; done) & exit 0");
  await once(talking.child, "exit");
  await untilDrained(talking.child, 20);
  expect(performance.now() - began).toBeLessThan(10_000);
  expect(talking.said()).not.toContain("1500");
});

test("output that has ended is not waited for", async () => {
  const { child, said } = run("echo all");
  await once(child, "exit");
  await untilDrained(child, 60_000);
  expect(said()).toBe("all\n");
});
