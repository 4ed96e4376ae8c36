import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseMountInfo } from "@shipside/core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openJournal } from "../journal.ts";
import { recover } from "../recover.ts";
import { makeMount } from "./mount.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-mount-"));
});
afterEach(() => rm(dir, { recursive: true }));

const mayMount = ((): boolean => {
  try {
    execFileSync("unshare", ["--mount", "true"], { stdio: "ignore" });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
})();

// These mount a tmpfs on folders of their own.
describe.runIf(process.platform === "linux" && mayMount)("on a machine where one may mount", () => {
  const tmpfs = async (path: string): Promise<void> => void execFileSync("mount", ["-t", "tmpfs", "shipside-test", path]);
  const isMounted = async (path: string): Promise<boolean> =>
    parseMountInfo(await readFile("/proc/self/mountinfo", "utf8")).some((mount) => mount.path === path);
  const stateDir = (): string => join(dir, "state");

  test("what a killed process left mounted is unmounted, and the folder made for it goes", async () => {
    const journal = openJournal(stateDir());
    const path = join(dir, "a b");
    await makeMount(journal, { path, source: "shipside-test" }, tmpfs);
    expect(await isMounted(path)).toBe(true);
    await journal.close();
    expect((await recover({ stateDir: stateDir() })).undone.map(({ what }) => what)).toEqual([`mount ${path}`]);
    expect([await isMounted(path), existsSync(path)]).toEqual([false, false]);
  });

  test("one that has gone by itself is told as such, and the folder made for it goes all the same", async () => {
    const journal = openJournal(stateDir());
    const path = join(dir, "gone");
    await makeMount(journal, { path, source: "shipside-test" }, tmpfs);
    execFileSync("umount", [path]);
    await journal.close();
    expect((await recover({ stateDir: stateDir() })).undone).toMatchObject([{ what: `mount ${path}`, gone: true }]);
    expect(existsSync(path)).toBe(false);
  });

  test("one that is in use goes lazily; a folder that was there stays", async () => {
    await using journal = openJournal(stateDir());
    const path = join(dir, "there");
    await mkdir(path);
    const { remove } = await makeMount(journal, { path, source: "shipside-test" }, tmpfs);
    const user = spawn("sleep", ["60"], { cwd: path, stdio: "ignore" });
    try {
      await new Promise((resolve) => user.once("spawn", resolve));
      await remove();
      expect([await isMounted(path), existsSync(path)]).toEqual([false, true]);
    } finally {
      user.kill("SIGKILL");
    }
  });

  test("somebody else's mount at the place, and none at all, are borne", async () => {
    const journal = openJournal(stateDir());
    const path = join(dir, "m");
    await makeMount(journal, { path, source: "shipside-test" }, async () => {});
    await mkdir(path, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "theirs", path]);
    try {
      await journal.close();
      await recover({ stateDir: stateDir() });
      expect(await isMounted(path)).toBe(true);
    } finally {
      execFileSync("umount", [path]);
    }
  });

  test("a mount that fails leaves nothing", async () => {
    await using journal = openJournal(stateDir());
    const path = join(dir, "m");
    await expect(makeMount(journal, { path }, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect([existsSync(path), journal.outstanding]).toEqual([false, []]);
  });
});
