import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import {
  appendFile,
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { claimDirectory, clearVolumes } from "../../owned-directory.ts";
import { makePlace } from "./fixtures/place.ts";
import { missingForSshfs } from "./mount.ts";
import { mountAt } from "./mount-table.ts";
import { removeStaleMount, unmount } from "./unmount.ts";

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
  it("behaves like a drive", async () => {
    await using place = await makePlace();
    await place.mount();
    const at = (name: string): string => join(place.local, name);
    const there = (name: string): string => join(place.remote, name);

    const bytes = Buffer.from(Array.from({ length: 3_000_001 }, (_, index) => (index * 31) & 0xff));
    await writeFile(at("big"), bytes);
    expect((await readFile(there("big"))).equals(bytes)).toBe(true);
    expect((await readFile(at("big"))).equals(bytes)).toBe(true);
    await appendFile(at("big"), "end");
    expect((await stat(there("big"))).size).toBe(bytes.length + 3);
    await truncate(at("big"), 10);
    expect((await readFile(there("big"))).equals(bytes.subarray(0, 10))).toBe(true);

    await writeFile(at("a"), "one");
    await writeFile(at("b"), "two");
    await rename(at("a"), at("b"));
    expect(await readFile(there("b"), "utf8")).toBe("one");
    await chmod(at("b"), 0o750);
    expect((await stat(there("b"))).mode & 0o777).toBe(0o750);
    await utimes(at("b"), 1_000, 2_000);
    expect((await stat(there("b"))).mtimeMs).toBe(2_000_000);
    await symlink("b", at("s"));
    expect(await readlink(at("s"))).toBe("b");
    await link(at("b"), at("hard"));
    expect((await stat(there("b"))).nlink).toBe(2);
    await mkdir(at("d/e"), { recursive: true });
    await expect(mkdir(at("d"))).rejects.toMatchObject({ code: "EEXIST" });
    await expect(readFile(at("none"))).rejects.toMatchObject({ code: "ENOENT" });
    await rm(at("d"), { recursive: true });
    expect((await readdir(there(""))).sort()).toEqual(["b", "big", "hard", "s"]);

    const file = await open(at("synced"), "w");
    await file.write("safe");
    await file.sync();
    expect(await readFile(there("synced"), "utf8")).toBe("safe");
    await file.close();
    const [mine, real] = await Promise.all([statfs(place.local), statfs(place.remote)]);
    expect(mine.blocks * mine.bsize).toBe(real.blocks * real.bsize);
    expect((await stat(at("b"))).uid).toBe(process.getuid!());
  });

  it("a file of more than 4 GiB, most of it a hole", async () => {
    await using place = await makePlace();
    await place.mount();
    const far = 5_000_000_000;
    await using file = await open(join(place.local, "sparse"), "w+");
    await file.write("far", far);
    await file.sync();
    expect((await file.stat()).size).toBe(far + 3);
    const { size, blocks } = await stat(join(place.remote, "sparse"));
    expect([size, blocks < 1_000]).toEqual([far + 3, true]);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, far - 2);
    expect(buffer.toString("latin1", 0, bytesRead)).toBe("\0\0far");
    await file.truncate(far - 1);
    expect((await stat(join(place.remote, "sparse"))).size).toBe(far - 1);
  });

  it("lists ten thousand names", async () => {
    await using place = await makePlace();
    for (let count = 0; count < 10_000; count++) writeFileSync(join(place.remote, `file-${count}`), "");
    await place.mount();
    expect(new Set(await readdir(place.local)).size).toBe(10_000);
    const { stdout } = await run("ls", ["-l", place.local], { maxBuffer: 10_000_000 });
    expect(stdout.trim().split("\n")).toHaveLength(10_001);
  }, 60_000);

  it("several writers at once lose nothing", async () => {
    await using place = await makePlace();
    await place.mount();
    const script = 'i=0; while [ $i -lt 200 ]; do echo "$1 $i" >> "$2/log"; echo "$1 $i" >> "$2/own-$1"; i=$((i+1)); done';
    await Promise.all(["a", "b", "c", "d"].map((who) => run("sh", ["-ec", script, "sh", who, place.local])));
    const lines = (await readFile(join(place.remote, "log"), "utf8")).trim().split("\n");
    expect(new Set(lines).size).toBe(800);
    for (const who of ["a", "b", "c", "d"]) {
      const own = (await readFile(join(place.remote, `own-${who}`), "utf8")).trim().split("\n");
      expect(own).toEqual(Array.from({ length: 200 }, (_, index) => `${who} ${index}`));
    }
  });

  it("locks hold between programs of this machine", async () => {
    await using place = await makePlace();
    await place.mount();
    const file = join(place.local, "locked");
    await writeFile(file, "");
    const holder = spawn("flock", [file, "sh", "-c", "echo held; read _"], { stdio: ["pipe", "pipe", "ignore"] });
    try {
      await once(holder.stdout, "data");
      await expect(run("flock", ["--nonblock", file, "true"])).rejects.toMatchObject({ code: 1 });
      holder.stdin.end("\n");
      await once(holder, "exit");
      await run("flock", ["--nonblock", file, "true"]);
    } finally {
      holder.kill("SIGKILL");
    }
  });

  it("what changes there is seen here within the time of the caches", async () => {
    await using place = await makePlace();
    await place.mount({ cacheSeconds: 1 });
    await writeFile(join(place.remote, "f"), "old");
    expect(await readFile(join(place.local, "f"), "utf8")).toBe("old");
    await writeFile(join(place.remote, "f"), "newer");
    await vi.waitFor(async () => expect(await readFile(join(place.local, "f"), "utf8")).toBe("newer"), { timeout: 4_000 });
  });

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

  it("read-only is read-only", async () => {
    await using place = await makePlace();
    await writeFile(join(place.remote, "f"), "x");
    await place.mount({ readOnly: true });
    await expect(writeFile(join(place.local, "f"), "y")).rejects.toMatchObject({ code: "EROFS" });
  });

  it("while the way is gone operations fail, soon, and work again after", async () => {
    await using place = await makePlace();
    await place.mount();
    await writeFile(join(place.local, "f"), "x");
    place.away(true);
    place.cut();
    const began = performance.now();
    await expect(writeFile(join(place.local, "g"), "lost")).rejects.toMatchObject({ code: "EIO" });
    await expect(readdir(place.local)).rejects.toMatchObject({ code: "EIO" });
    expect(performance.now() - began).toBeLessThan(15_000);
    place.away(false);
    await vi.waitFor(() => writeFile(join(place.local, "g"), "back"), { timeout: 8_000 });
    expect(await readFile(join(place.remote, "g"), "utf8")).toBe("back");
  });

  it("what is in use is not unmounted unless by force, and who uses it is told", async () => {
    await using place = await makePlace();
    const mount = await place.mount();
    const holder = spawn("sleep", ["98764"], { cwd: place.local, stdio: "ignore" });
    try {
      await once(holder, "spawn");
      const found = { code: "VOLUMES_BUSY", message: expect.stringContaining(`sleep (${holder.pid})`) };
      await expect(mount.unmount()).rejects.toMatchObject(found);
      expect(await mountAt(place.local)).toBeDefined();
      await mount.unmount({ force: true });
      expect(await mountAt(place.local)).toBeUndefined();
      await Promise.all([mount.close(), mount.close()]);
      expect(await readdir(place.local)).toEqual([]);
    } finally {
      holder.kill("SIGKILL");
    }
  });

  it("closing takes off what is in use too, and what was open is written", async () => {
    await using place = await makePlace();
    const mount = await place.mount();
    // Another process: one that serves a mount and begins a program while it has a file of it open waits for itself.
    const writer = spawn("sh", ["-c", "exec 3>f; printf kept >&3; echo written; exec sleep 60"], { cwd: place.local });
    try {
      await once(writer.stdout, "data");
      await mount.close();
      expect(await mountAt(place.local)).toBeUndefined();
      await vi.waitFor(async () => expect(await readFile(join(place.remote, "f"), "utf8")).toBe("kept"));
    } finally {
      writer.kill("SIGKILL");
    }
  });

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

  it("a path that isn't there is named, and nothing is left", async () => {
    await using place = await makePlace();
    await expect(place.mount({ remotePath: join(place.remote, "absent") })).rejects.toMatchObject({
      code: "VOLUMES_SUBPATH_MISSING",
    });
    expect(await mountAt(place.local)).toBeUndefined();
    expect(await readdir(place.local)).toEqual([]);
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
