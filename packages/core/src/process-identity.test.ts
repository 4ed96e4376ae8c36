import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, it } from "vitest";
import { identify, identifySelf, inspectWithPs, isRunning } from "./process-identity.ts";

it("tells a live process from an ended one, from one that got its id later, and from one before the last boot", async () => {
  const me = await identifySelf();
  const [boot, namespace, pid, start] = me.split(".");
  expect(await isRunning(me)).toBe(true);
  expect(await isRunning(await identify(process.ppid))).toBe(true);
  const ended = spawn("true");
  await once(ended, "exit");
  expect(await isRunning(`${boot}.${namespace}.${ended.pid}.1`)).toBe(false);
  expect(await isRunning(`${boot}.${namespace}.${pid}.${Number(start) + 1}`)).toBe(false);
  if (boot !== "0") expect(await isRunning(`00000000.${namespace}.${pid}.${start}`)).toBe(false);
  expect(await isRunning(`${boot}.1.${pid}.${start}`)).toBeUndefined();
  expect(await isRunning("nonsense")).toBeUndefined();
});

it("takes a killed process that nobody has waited for as ended", async () => {
  // The shell's child is killed and stays a zombie, as the shell has become a program that waits for nothing.
  const shell = spawn("sh", ["-c", "sleep 100 & echo $!; kill -9 $!; exec sleep 100"]);
  const zombie = Number(String((await once(shell.stdout, "data"))[0]).trim());
  const [boot, namespace] = (await identifySelf()).split(".");
  await expect.poll(() => isRunning(`${boot}.${namespace}.${zombie}.0`)).toBe(false);
  shell.kill("SIGKILL");
});

it("reads the same from ps, where there is no /proc", async () => {
  const first = await inspectWithPs(process.pid);
  expect(Number(first.start)).toBeGreaterThan(Date.now() / 1000 - process.uptime() - 120);
  expect(await inspectWithPs(process.pid)).toEqual(first);
});
