import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";
import { identityOf, isAlive, ownIdentity } from "./process-identity.ts";

test("this process is alive, and not if it had started at another time or in another boot", () => {
  const own = ownIdentity();
  expect(own.pid).toBe(process.pid);
  expect(isAlive(own)).toBe(true);
  expect(isAlive({ ...own, started: `${own.started}0` })).toBe(false);
  expect(isAlive({ ...own, boot: "another" })).toBe(false);
});

test("a process that ended is not alive, whatever its pid was", async () => {
  const child = spawn("sleep", ["30"]);
  const identity = identityOf(child.pid!)!;
  expect(isAlive(identity)).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(isAlive(identity)).toBe(false);
});

test.each([0, -1, 1.5, Number.NaN])("no process has pid %s", (pid) => {
  expect(identityOf(pid)).toBeUndefined();
});
