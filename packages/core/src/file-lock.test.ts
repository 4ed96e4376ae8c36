import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { acquireFileLock, newToken } from "./file-lock.ts";
import { identifySelf } from "./process-identity.ts";

/** A folder with a file that several share, for one test. */
async function scratch() {
  const dir = await mkdtemp(join(tmpdir(), "shipside-lock-"));
  const path = join(dir, "shared");
  await writeFile(path, "");
  return {
    path,
    files: async () => (await readdir(dir)).sort(),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

const options = (path: string, owner = "me", timeoutMs = 5_000) => ({
  path: `${path}.lock`,
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

describe("acquireFileLock", () => {
  it("excludes others of this process, in turn, and leaves nothing", async () => {
    await using folder = await scratch();
    let inside = 0;
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const lock = await acquireFileLock(options(folder.path));
        expect(++inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside--;
        await lock.release();
      }),
    );
    expect(await folder.files()).toEqual(["shared"]);
  });

  it("says who holds it and how to recover, when the time is up", async () => {
    await using folder = await scratch();
    const lock = await acquireFileLock(options(folder.path, "alice"));
    const refused = await acquireFileLock(options(folder.path, "bob", 60)).catch((error) => error);
    expect(refused).toMatchObject({ code: "LOCK_HELD", details: { owner: "alice", pid: process.pid } });
    expect(refused.message).toContain(`owner alice, process ${process.pid}`);
    expect(refused.hint).toContain(`delete ${folder.path}.lock`);
    await lock.release();
    await (await acquireFileLock(options(folder.path, "bob", 0))).release();
  });

  it("stops waiting when aborted", async () => {
    await using folder = await scratch();
    const lock = await acquireFileLock(options(folder.path));
    const controller = new AbortController();
    const waiting = acquireFileLock({ ...options(folder.path), signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(waiting).rejects.toThrow("enough");
    await lock.release();
    expect(await folder.files()).toEqual(["shared"]);
  });

  it("lets exactly one of many succeed a dead holder, through a chain of dead successors too", async () => {
    await using folder = await scratch();
    const [first, second] = [await deadToken(), (await deadToken()).replace(/.$/, "c")];
    await writeFile(`${folder.path}.lock`, await record({ token: first }));
    await writeFile(`${folder.path}.lock-after-${first}`, await record({ token: second }));
    let inside = 0;
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        const lock = await acquireFileLock(options(folder.path));
        expect(++inside).toBe(1);
        await new Promise((resolve) => setTimeout(resolve, 2));
        inside--;
        await lock.release();
      }),
    );
    expect((await folder.files()).filter((name) => name.endsWith(".lock"))).toEqual([]);
  });

  it("removes what processes that died while waiting left", async () => {
    await using folder = await scratch();
    const dead = await deadToken();
    await writeFile(`${folder.path}.lock-${dead}`, "half a record");
    await writeFile(`${folder.path}.lock-after-${dead}`, "half a record");
    await writeFile(`${folder.path}.lock-of-somebody-else`, "not ours");
    await (await acquireFileLock(options(folder.path))).release();
    expect(await folder.files()).toEqual(["shared", "shared.lock-of-somebody-else"]);
  });

  it("doesn't take a lock that it can't judge, nor release one that has become another's", async () => {
    await using folder = await scratch();
    const path = `${folder.path}.lock`;
    for (const content of ["", "garbage", "{}", await record({ token: "0.999.1.1-0123456789ab" })]) {
      await writeFile(path, content);
      await expect(acquireFileLock(options(folder.path, "me", 20)), content).rejects.toMatchObject({ code: "LOCK_HELD" });
    }
    await unlink(path);
    const lock = await acquireFileLock(options(folder.path));
    const theirs = await record({});
    await writeFile(path, theirs);
    await lock.release();
    expect(await readFile(path, "utf8")).toBe(theirs);
  });
});
