import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canHaveMachine, type Machine, newMachine } from "./root.harness.ts";

/** Of the user, whichever way they were started; one that has ended and that nobody has waited for doesn't count. */
const processesOf = (uid: number): string[] =>
  spawnSync("ps", ["-o", "stat=,args=", "-U", String(uid), "-u", String(uid)], { encoding: "utf8" })
    .stdout.split("\n")
    .filter((line) => line !== "" && !line.startsWith("Z"));

describe.skipIf(!canHaveMachine)("the demo of a user who has no root, no sudo, and no helper", { timeout: 120_000 }, () => {
  let machine: Machine;
  beforeAll(async () => {
    machine = await newMachine();
  }, 60_000);
  afterAll(async () => machine?.[Symbol.asyncDispose]());

  test("does the whole job in namespaces of its own, and leaves nothing", async () => {
    // As the machine sees it: its modification time is that of the last write, its inode that of the last replacement.
    const [before, filesBefore] = [statSync("/etc/hosts"), await filesOf(machine.home)];
    const { code, stdout, stderr } = await machine.run(["demo", "--json"]);
    expect(code, stderr).toBe(0);
    const story = JSON.parse(stdout);
    expect(story).toMatchObject({
      ...{ names: "rootless", residue: [], hosts: { identical: true }, rollout: { failed: 0 } },
      firstCall: { url: "http://leaf:3010", pod: expect.stringMatching(/^leaf-/), address: expect.stringMatching(/^10\.96\./) },
      core: { version: "local" },
    });
    const addresses = new Map(story.services.map(({ name, address }: { name: string; address: string }) => [name, address]));
    expect(story.firstCall.address).toBe(addresses.get("leaf.sample"));
    expect(story.core.calls.map(({ ok, address }: { ok: boolean; address: string }) => [ok, address])).toEqual([
      [true, addresses.get("leaf.sample")],
      [true, addresses.get("database.sample")],
      [true, addresses.get("database.sample")],
    ]);
    expect(stderr).toMatch(/^✓ \/etc\/hosts isn't yours to write: your programs get namespaces of their own, without root$/m);
    expect(stderr).toContain("for the command alone; nothing on this machine changes");
    const after = statSync("/etc/hosts");
    expect([after.ino, after.mtimeMs, after.mode]).toEqual([before.ino, before.mtimeMs, before.mode]);
    expect(await filesOf(machine.home)).toEqual(filesBefore);
    expect(processesOf(machine.uid)).toEqual([]);
  });
});

const filesOf = async (home: string): Promise<string[]> =>
  (await readdir(home, { recursive: true })).filter((name) => !name.includes("node-compile-cache")).sort();
