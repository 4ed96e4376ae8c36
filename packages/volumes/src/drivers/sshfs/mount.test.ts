import { execFile } from "node:child_process";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { claimDirectory, clearVolumes } from "../../owned-directory.ts";
import { driveBehaviour } from "../fixtures/drive.ts";
import { makePlace } from "../fixtures/place.ts";
import { mountAt } from "../mount-table.ts";
import { removeStaleMount, unmount } from "../unmount.ts";
import { missingForSshfs, mountSshfs } from "./mount.ts";

const run = promisify(execFile);

/** The sshfs that has this mount point. */
const processesWith = async (local: string): Promise<number[]> => {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const told = pids.map(async (pid) => (await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")).split("\0"));
  const argvs = await Promise.all(told);
  return pids.flatMap((pid, at) => (argvs[at]![0] === "sshfs" && argvs[at]!.includes(local) ? [Number(pid)] : []));
};
const missing = await missingForSshfs();

describe.skipIf(missing !== undefined)("a directory mounted by sshfs", () => {
  for (const { name, check } of driveBehaviour(mountSshfs)) it(name, check, 60_000);

  it("that a name isn't there is remembered as long, unless it is made here", async () => {
    await using place = await makePlace();
    await place.mount({ cacheSeconds: 5 });
    const look = (name: string): Promise<unknown> => stat(join(place.local, name));
    await expect(look("theirs")).rejects.toMatchObject({ code: "ENOENT" });
    await expect(look("mine")).rejects.toMatchObject({ code: "ENOENT" });
    const looked = performance.now();
    await writeFile(join(place.remote, "theirs"), "");
    await writeFile(join(place.local, "mine"), "");
    await look("mine");
    const seen = await look("theirs").catch(({ code }) => code);
    // On a machine that stood still meanwhile it may be over.
    if (performance.now() - looked < 5_000) expect(seen).toBe("ENOENT");
    await vi.waitFor(() => look("theirs"), { timeout: 10_000 });
  }, 20_000);

  it("under the mount nothing can be written by who isn't root, and afterwards all is as it was", async () => {
    await using place = await makePlace();
    await chmod(place.local, 0o750);
    const mount = await place.mount();
    // Takes the mount off behind our back: what shows is what was under it.
    await unmount(place.local, { force: true });
    expect((await stat(place.local)).mode & 0o777).toBe(0o555);
    await mount.close();
    expect((await stat(place.local)).mode & 0o777).toBe(0o750);
  });

  it("what is written after sshfs was killed lands nowhere, not even when the dead mount is gone", async () => {
    await using place = await makePlace();
    // For who isn't root to get there at all.
    await chmod(dirname(place.local), 0o755);
    await chmod(place.local, 0o777);
    await place.mount();
    const [sshfs] = await processesWith(place.local);
    process.kill(sshfs!, "SIGKILL");
    await vi.waitFor(() => expect(readdir(place.local)).rejects.toMatchObject({ code: "ENOTCONN" }));
    await expect(writeFile(join(place.local, "lost"), "x")).rejects.toMatchObject({ code: "ENOTCONN" });
    await unmount(place.local, { force: true });
    const nobody = process.getuid!() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    await expect(run("sh", ["-c", 'echo x > "$1/lost"', "sh", place.local], nobody)).rejects.toThrow(/denied/);
    expect(await readdir(place.local)).toEqual([]);
    expect(await readdir(place.remote)).toEqual([]);
  });

  it("clearing what a dead session left takes off its mounts, and nothing from the volume", async () => {
    await using place = await makePlace();
    await writeFile(join(place.remote, "kept"), "x");
    const owned = await claimDirectory(place.local, [{ path: "data", kind: "mount" }], "session-1");
    const localPath = await owned.ensure("data");
    await place.mount({ localPath });
    expect(await readdir(localPath)).toEqual(["kept"]);
    await clearVolumes(place.local, "session-1");
    expect(await mountAt(localPath)).toBeUndefined();
    expect(await readdir(place.local)).toEqual([]);
    expect(await readdir(place.remote)).toEqual(["kept"]);
  });

  it("what is still mounted inside a folder that goes loses nothing", async () => {
    await using place = await makePlace();
    await writeFile(join(place.remote, "kept"), "x");
    // As if a mount that could not be taken off were in it.
    const owned = await claimDirectory(place.local, [{ path: "work", kind: "copy" }], "session-1");
    const localPath = await owned.ensure("work/data");
    await writeFile(join(place.local, "work/file"), "x");
    await place.mount({ localPath });
    await expect(clearVolumes(place.local, "session-1")).rejects.toMatchObject({
      code: "VOLUMES_UNWRITABLE",
      message: expect.stringContaining(localPath),
    });
    expect(await readdir(place.remote)).toEqual(["kept"]);
    await unmount(localPath);
    await clearVolumes(place.local, "session-1");
    expect(await readdir(place.local)).toEqual([]);
  });

  it("a mount of another program is left alone", async () => {
    await using place = await makePlace();
    expect(await removeStaleMount(place.local)).toBe(false);
    expect(await removeStaleMount("/proc")).toBe(false);
    expect(await mountAt("/proc")).toBeDefined();
  });
});
