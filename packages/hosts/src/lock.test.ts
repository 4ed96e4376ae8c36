import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { scratchHosts } from "./fixtures/scratch.ts";
import { acquireLock, newToken } from "./lock.ts";
import { identifySelf, inspectWithPs, isRunning } from "./process-identity.ts";

const options = (path: string, owner = "me", timeoutMs = 5_000) => ({
  path: `${path}.shipside-lock`,
  what: path,
  owner,
  timeoutMs,
  signal: new AbortController().signal,
});
const record = async (over: Record<string, unknown>) =>
  JSON.stringify({ token: await newToken(), owner: "other", since: "2026-01-01T00:00:00.000Z", ...over });

/** A token of a process that has ended. */
async function deadToken(): Promise<string> {
  const [boot, namespace] = (await identifySelf()).split(".");
  const child = spawn("true");
  await once(child, "exit");
  return `${boot}.${namespace}.${child.pid}.1-0123456789ab`;
}

describe("acquireLock", () => {
  it("excludes others of this process, in turn, and leaves nothing", async () => {
    await using scratch = await scratchHosts();
    let inside = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const lock = await acquireLock(options(scratch.path));
        expect(++inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside--;
        await lock.release();
      }),
    );
    expect(await scratch.files()).toEqual(["hosts"]);
  });

  it("says who holds it and how to recover, when the time is up", async () => {
    await using scratch = await scratchHosts();
    const lock = await acquireLock(options(scratch.path, "alice"));
    const refused = await acquireLock(options(scratch.path, "bob", 60)).catch((error) => error);
    expect(refused).toMatchObject({ code: "HOSTS_LOCKED", details: { owner: "alice", pid: process.pid } });
    expect(refused.message).toContain(`owner alice, process ${process.pid}`);
    expect(refused.hint).toContain(`delete ${scratch.path}.shipside-lock`);
    await lock.release();
    await (await acquireLock(options(scratch.path, "bob", 0))).release();
  });

  it("stops waiting when aborted", async () => {
    await using scratch = await scratchHosts();
    const lock = await acquireLock(options(scratch.path));
    const controller = new AbortController();
    const waiting = acquireLock({ ...options(scratch.path), signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(waiting).rejects.toThrow("enough");
    await lock.release();
    expect(await scratch.files()).toEqual(["hosts"]);
  });

  it("lets exactly one of many succeed a dead holder, through a chain of dead successors too", async () => {
    await using scratch = await scratchHosts();
    const [first, second] = [await deadToken(), (await deadToken()).replace(/.$/, "c")];
    await writeFile(`${scratch.path}.shipside-lock`, await record({ token: first }));
    await writeFile(`${scratch.path}.shipside-lock-after-${first}`, await record({ token: second }));
    let inside = 0;
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        const lock = await acquireLock(options(scratch.path));
        expect(++inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 2));
        inside--;
        await lock.release();
      }),
    );
    expect((await scratch.files()).filter((name) => name.endsWith("-lock"))).toEqual([]);
  });

  it("doesn't take a lock that it can't judge, nor release one that has become another's", async () => {
    await using scratch = await scratchHosts();
    const path = `${scratch.path}.shipside-lock`;
    for (const content of ["", "garbage", "{}", await record({ token: "0.999.1.1-0123456789ab" })]) {
      await writeFile(path, content);
      await expect(acquireLock(options(scratch.path, "me", 20)), content).rejects.toMatchObject({ code: "HOSTS_LOCKED" });
    }
    await (await import("node:fs/promises")).unlink(path);
    const lock = await acquireLock(options(scratch.path));
    const theirs = await record({});
    await writeFile(path, theirs);
    await lock.release();
    expect(await readFile(path, "utf8")).toBe(theirs);
  });
});

describe("process identity", () => {
  it("tells a live process from an ended one, from one that got its id later, and from one before the last boot", async () => {
    const me = await identifySelf();
    const [boot, namespace, pid, start] = me.split(".");
    expect(await isRunning(me)).toBe(true);
    expect(await isRunning((await deadToken()).split("-")[0] ?? "")).toBe(false);
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
});
