import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  statfs,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { makePlace } from "../sshfs/fixtures/place.ts";
import { mountAt } from "../sshfs/mount-table.ts";
import { removeStaleMount } from "../sshfs/unmount.ts";
import { missingForFuse } from "./driver.ts";
import { programOf } from "./fixtures/program-of.ts";
import { mountFuse } from "./mount.ts";

const run = promisify(execFile);
const missing = await missingForFuse();

describe.skipIf(missing !== undefined)("a directory mounted by our own FUSE server", () => {
  it("behaves like a drive", async () => {
    await using place = await makePlace(mountFuse);
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
    await writeFile(at("big"), "short");
    expect(await readFile(there("big"), "utf8")).toBe("short");

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
    expect(await readFile(at("s"), "utf8")).toBe("one");
    await link(at("b"), at("hard"));
    expect((await stat(there("b"))).nlink).toBe(2);
    await mkdir(at("d/e"), { recursive: true });
    await writeFile(at("d/e/f"), "deep");
    await rename(at("d"), at("moved"));
    expect(await readFile(at("moved/e/f"), "utf8")).toBe("deep");
    await rm(at("moved"), { recursive: true });
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

  it("says what failed in the system's own words", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const at = (name: string): string => join(place.local, name);
    await mkdir(at("d/e"), { recursive: true });
    await writeFile(at("f"), "x");
    const refused = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });
    await refused(mkdir(at("d")), "EEXIST");
    await refused(rmdir(at("d")), "ENOTEMPTY");
    await refused(readFile(at("none")), "ENOENT");
    await refused(readdir(at("f")), "ENOTDIR");
    await refused(writeFile(at("d"), "x"), "EISDIR");
    await refused(writeFile(at("n".repeat(256)), "x"), "ENAMETOOLONG");
    await refused(writeFile(at("f"), "x", { flag: "wx" }), "EEXIST");
    await refused(link(at("f"), at("d")), "EEXIST");
    await refused(rename(at("d"), at("d/e/inside")), "EINVAL");
    await refused(run("mkfifo", [at("pipe")]), 1 as never);
    await symlink("/etc/passwd", at("out"));
    await refused(readlink(at("out")), "EACCES");
  });

  it("a file that is removed, or gets another name, while it is open stays what it is", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const at = (name: string): string => join(place.local, name);
    await using file = await open(at("f"), "w+");
    await file.write("before");
    await rename(at("f"), at("g"));
    await unlink(at("g"));
    await writeFile(at("g"), "another");
    await file.write(" and after");
    expect((await file.stat()).size).toBe(16);
    await file.truncate(6);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0);
    expect(buffer.toString("latin1", 0, bytesRead)).toBe("before");
    expect(await readFile(at("g"), "utf8")).toBe("another");
  });

  it("owners and times are changed one by one", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const [at, there] = [join(place.local, "f"), join(place.remote, "f")];
    await writeFile(at, "x");
    await utimes(there, 100, 200);
    await chown(at, 1234, -1 >>> 0);
    await run("touch", ["-a", "-d", "@300", at]);
    const { uid, gid, atimeMs, mtimeMs } = await stat(there);
    expect([uid, gid, atimeMs, mtimeMs]).toEqual([1234, process.getgid!(), 300_000, 200_000]);
  });

  it("a file of more than 4 GiB, most of it a hole", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const far = 5_000_000_000;
    await using file = await open(join(place.local, "sparse"), "w+");
    await file.write("far", far);
    await file.sync();
    expect((await file.stat()).size).toBe(far + 3);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, far - 2);
    expect(buffer.toString("latin1", 0, bytesRead)).toBe("\0\0far");
  });

  it("lists ten thousand names, of any bytes", async () => {
    await using place = await makePlace(mountFuse);
    for (let count = 0; count < 10_000; count++) writeFileSync(join(place.remote, `file-${count}`), "");
    const odd = Buffer.concat([Buffer.from(`${place.remote}/`), Buffer.from([0xff, 0xfe, 0x20, 0xe9])]);
    writeFileSync(odd, "");
    await place.mount();
    const found = await readdir(place.local, { encoding: "latin1" } as never);
    expect(new Set(found).size).toBe(10_001);
    expect(found).toContain("\xff\xfe \xe9");
    const { stdout } = await run("ls", ["-l", place.local], { maxBuffer: 10_000_000, encoding: "latin1" });
    expect(stdout.trim().split("\n")).toHaveLength(10_002);
  }, 60_000);

  it("several writers at once lose nothing", async () => {
    await using place = await makePlace(mountFuse);
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

  it("what changes there is seen here within the time of the caches", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 1 });
    const there = (name: string): string => join(place.remote, name);
    const here = (name: string): Promise<string> => readFile(join(place.local, name), "utf8");
    await writeFile(there("f"), "old");
    expect(await here("f")).toBe("old");
    await expect(here("new")).rejects.toMatchObject({ code: "ENOENT" });
    await writeFile(there("f"), "new");
    await writeFile(there("new"), "made");
    await mkdir(there("was-file"));
    await vi.waitFor(async () => expect([await here("f"), await here("new")]).toEqual(["new", "made"]), { timeout: 4_000 });
    await rm(there("f"));
    await mkdir(there("f"));
    await vi.waitFor(async () => expect((await stat(join(place.local, "f"))).isDirectory()).toBe(true), { timeout: 4_000 });
  });

  it("read-only, nothing is written", async () => {
    await using place = await makePlace(mountFuse);
    await writeFile(join(place.remote, "f"), "x");
    await place.mount({ readOnly: true });
    expect(await readFile(join(place.local, "f"), "utf8")).toBe("x");
    await expect(writeFile(join(place.local, "f"), "y")).rejects.toMatchObject({ code: "EROFS" });
  });

  it("a stream that is cut fails what is under way, and the next one is a new one", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const file = await open(join(place.local, "f"), "w");
    await file.write("x");
    place.cut();
    await vi.waitFor(() => expect(file.sync()).rejects.toMatchObject({ code: "EIO" }));
    await file.close().catch(() => {});
    await vi.waitFor(() => writeFile(join(place.local, "f"), "again"));
    expect(await readFile(join(place.remote, "f"), "utf8")).toBe("again");
  });

  it("with no way to the server operations fail within 15 s, and work again after", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 0 });
    await writeFile(join(place.local, "f"), "x");
    place.away(true);
    place.cut();
    const began = performance.now();
    await expect(writeFile(join(place.local, "f"), "y")).rejects.toMatchObject({ code: "EIO" });
    expect(performance.now() - began).toBeLessThan(15_000);
    place.away(false);
    await vi.waitFor(() => writeFile(join(place.local, "f"), "z"), { timeout: 15_000 });
    expect(await readFile(join(place.remote, "f"), "utf8")).toBe("z");
  }, 40_000);

  it("its process killed, nothing hangs and nothing is written elsewhere; the dead mount is found and taken off", async () => {
    await using place = await makePlace(mountFuse);
    const mount = await place.mount();
    const pid = await programOf(place.local);
    process.kill(pid, "SIGKILL");
    await vi.waitFor(() => expect(readdir(place.local)).rejects.toMatchObject({ code: "ENOTCONN" }));
    await expect(writeFile(join(place.local, "lost"), "x")).rejects.toMatchObject({ code: "ENOTCONN" });
    expect(await mountAt(place.local)).toMatchObject({ type: "fuse.shipside", source: "shipside:test" });
    expect(await removeStaleMount(place.local)).toBe(true);
    await mount.close();
    expect(await readdir(place.local)).toEqual([]);
    expect(await readdir(place.remote)).toEqual([]);
  });

  it("its process standing still, it is ended, and with it who waits", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    process.kill(await programOf(place.local), "SIGSTOP");
    const began = performance.now();
    await expect(writeFile(join(place.local, "f"), "x")).rejects.toMatchObject({
      code: expect.stringMatching(/ENOTCONN|ECONNABORTED/),
    });
    expect(performance.now() - began).toBeLessThan(15_000);
  }, 40_000);

  it("is unmounted when nobody uses it; else who does is named", async () => {
    await using place = await makePlace(mountFuse);
    const mount = await place.mount();
    const holder = spawn("sleep", ["60"], { cwd: place.local });
    await once(holder, "spawn");
    try {
      await expect(mount.unmount()).rejects.toMatchObject({
        code: "VOLUMES_BUSY",
        message: expect.stringContaining(`sleep (${holder.pid})`),
      });
      await mount.unmount({ force: true });
      expect(await mountAt(place.local)).toBeUndefined();
    } finally {
      holder.kill("SIGKILL");
    }
  });

  it("closing takes off what is in use too, and what was written is there", async () => {
    await using place = await makePlace(mountFuse);
    const mount = await place.mount();
    // Another process: one that serves a mount and begins a program while it has a file of it open waits for itself.
    const writer = spawn("sh", ["-c", "exec 3>f; printf kept >&3; echo written; exec sleep 60"], { cwd: place.local });
    try {
      await once(writer.stdout, "data");
      await mount.close();
      expect(await mountAt(place.local)).toBeUndefined();
      expect(await readFile(join(place.remote, "f"), "utf8")).toBe("kept");
    } finally {
      writer.kill("SIGKILL");
    }
  });

  it("a path that isn't there, or is no directory, is named, and nothing is left", async () => {
    await using place = await makePlace(mountFuse);
    await writeFile(join(place.remote, "file"), "");
    await expect(place.mount({ remotePath: join(place.remote, "absent") })).rejects.toMatchObject({
      code: "VOLUMES_SUBPATH_MISSING",
    });
    await expect(place.mount({ remotePath: join(place.remote, "file") })).rejects.toMatchObject({ code: "VOLUMES_MOUNT_FAILED" });
    expect(await mountAt(place.local)).toBeUndefined();
    expect(await readdir(place.local)).toEqual([]);
  });

  it("its mounting process killed, its mount fails until it is taken off", async () => {
    await using place = await makePlace(mountFuse);
    const file = new URL("../sshfs/fixtures/mounter.ts", import.meta.url).pathname;
    const args = ["--conditions=@shipside/source", file, String(place.port), place.local, place.remote, "fuse"];
    const mounter = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    await once(mounter.stdout, "data");
    await writeFile(join(place.local, "f"), "x");
    mounter.kill("SIGSTOP");
    const began = performance.now();
    await expect(writeFile(join(place.local, "g"), Buffer.alloc(16_000_000))).rejects.toMatchObject({ code: "EIO" });
    expect(performance.now() - began).toBeLessThan(15_000);
    mounter.kill("SIGCONT");
    await vi.waitFor(() => writeFile(join(place.local, "g"), "z"), { timeout: 10_000 });
    expect(await readFile(join(place.remote, "g"), "utf8")).toBe("z");
    mounter.kill("SIGKILL");
    await vi.waitFor(() => expect(readdir(place.local)).rejects.toMatchObject({ code: "ENOTCONN" }), { timeout: 10_000 });
    expect(await removeStaleMount(place.local)).toBe(true);
    expect(await readdir(place.local)).toEqual([]);
  }, 60_000);
});
