import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  appendFile,
  chmod,
  chown,
  type FileHandle,
  link,
  mkdir,
  open,
  opendir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { driveBehaviour } from "../fixtures/drive.ts";
import { makePlace } from "../fixtures/place.ts";
import { mountAt } from "../mount-table.ts";
import { removeStaleMount } from "../unmount.ts";
import { missingForFuse } from "./driver.ts";
import { programOf } from "./fixtures/program-of.ts";
import { mountFuse } from "./mount.ts";

const run = promisify(execFile);
const missing = await missingForFuse();
const isRoot = process.getuid?.() === 0;

describe.skipIf(missing !== undefined)("a directory mounted by our own FUSE server", () => {
  const content = async (file: FileHandle): Promise<string> => {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(100), 0, 100, 0);
    return buffer.toString("latin1", 0, bytesRead);
  };

  for (const { name, check } of driveBehaviour(mountFuse)) it(name, check, 60_000);

  it("another server of SFTP than a relay's is named as such", async () => {
    await using place = await makePlace(mountFuse);
    const open: typeof place.open = async (signal) => {
      const stream = await place.open(signal);
      const write = stream.write.bind(stream) as (chunk: Buffer, ...more: unknown[]) => boolean;
      stream.write = (chunk: Buffer, ...more: unknown[]) =>
        write(Buffer.from(chunk.toString("latin1").replace("stat@shipside", "none@shipside"), "latin1"), ...more);
      return stream;
    };
    const refused = { code: "VOLUMES_MOUNT_FAILED", message: expect.stringContaining("extensions of SFTP") };
    await expect(place.mount({ open })).rejects.toMatchObject(refused);
    expect(await mountAt(place.local)).toBeUndefined();
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

  it.runIf(isRoot)("a volume that is full says so", async () => {
    await using place = await makePlace(mountFuse);
    await run("mount", ["-t", "tmpfs", "-o", "size=64k", "none", place.remote]);
    try {
      await place.mount();
      const full = { code: "ENOSPC" };
      await expect(writeFile(join(place.local, "f"), Buffer.alloc(1_000_000))).rejects.toMatchObject(full);
      await using file = await open(join(place.local, "g"), "w");
      await expect(file.write(Buffer.alloc(1_000)).then(() => file.sync())).rejects.toMatchObject(full);
    } finally {
      await run("umount", ["--lazy", place.remote]);
    }
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

  it("a directory just made is known to have only what was put into it, for as long as names are known", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = (name: string): string => join(place.local, name);
    await mkdir(at("d"));
    await writeFile(at("d/f"), "x");
    await rename(at("d/f"), at("d/g"));
    expect(await readFile(at("d/g"), "utf8")).toBe("x");
    place.away(true);
    place.cut();
    await expect(stat(at("d/f"))).rejects.toMatchObject({ code: "ENOENT" });
    await expect(stat(at("d/none"))).rejects.toMatchObject({ code: "ENOENT" });
    place.away(false);
  });

  it("what was told a moment ago isn't asked for again, by whoever makes directories on the way, or moves", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = (name: string): string => join(place.local, name);
    await mkdir(at("d/e"), { recursive: true });
    await writeFile(at("d/e/f"), "x");
    await rename(at("d/e/f"), at("d/e/g"));
    // Whoever asks for a directory before each file that is made in it knows it after that too.
    await stat(at("d/e"));
    await writeFile(at("d/e/h"), "x");
    const real = await stat(join(place.remote, "d/e"), { bigint: true });
    place.away(true);
    place.cut();
    await expect(mkdir(at("d/e"))).rejects.toMatchObject({ code: "EEXIST" });
    expect((await stat(at("d/e/g"))).size).toBe(1);
    expect((await stat(at("d/e"), { bigint: true })).mtimeNs).toBe(real.mtimeNs);
    place.away(false);
  });

  it("what somebody else has removed can be made at once, though it was seen a moment ago: a lock, by whatever it is made", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = (name: string): string => join(place.local, name);
    await writeFile(at("other"), "x");
    await mkdir(at("lock.d"));
    for (const name of ["lock", "lock.link", "lock.symlink"]) await writeFile(at(name), "x");
    for (const name of ["lock", "lock.link", "lock.symlink", "lock.d"]) {
      await stat(at(name));
      await rm(join(place.remote, name), { recursive: true });
    }
    await writeFile(at("lock"), "mine", { flag: "wx" });
    await link(at("other"), at("lock.link"));
    await symlink("other", at("lock.symlink"));
    await mkdir(at("lock.d"));
    expect((await readdir(place.remote)).sort()).toEqual(["lock", "lock.d", "lock.link", "lock.symlink", "other"]);
  });

  it("what somebody else has removed is made anew by whoever writes to it, whether that was seen or not", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const [at, there] = [(name: string) => join(place.local, name), (name: string) => join(place.remote, name)];
    for (const flag of ["w", "a", "a+"])
      for (const isSeen of [false, true]) {
        const name = `${flag}-${isSeen}`;
        await writeFile(at(name), "x");
        await stat(at(name));
        await rm(there(name));
        if (isSeen) {
          await expect(chmod(at(name), 0o600)).rejects.toMatchObject({ code: "ENOENT" });
          await expect(run("stat", ["--cached=never", at(name)])).rejects.toMatchObject({ code: 1 });
        }
        await writeFile(at(name), "mine", { flag });
        expect(await readFile(there(name), "utf8")).toBe("mine");
        await rm(there(name));
        await expect(readFile(at(name))).rejects.toMatchObject({ code: "ENOENT" });
      }
  });

  it("who stands in a directory that somebody else has removed is told that nothing is there, as on a disk", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 0.1 });
    await mkdir(join(place.remote, "d"));
    await writeFile(join(place.remote, "d/f"), "x");
    // Each twice: the first one sees it.
    const each = (what: string): string => `for i in 1 2; do { ${what}; } 2>&1; sleep 0.2; done`;
    const script = `cd d && cat f > /dev/null && rm -r "$1"/d && sleep 0.2; ${["stat .", "cat f", "touch g", "mkdir g", "ls -l ."].map(each).join("; ")}`;
    const { stdout } = await run("sh", ["-c", script, "sh", place.remote], {
      cwd: place.local,
      env: { ...process.env, LC_ALL: "C" },
    });
    const said = stdout.trim().split("\n");
    expect(said.filter((line) => !line.includes("No such file or directory"))).toEqual([]);
    expect(said).toHaveLength(10);
  });

  it("of two names of one file each is what the other has become, and renaming one to the other takes none away", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = (name: string): string => join(place.local, name);
    await mkdir(at("d"));
    await writeFile(at("d/one"), "x");
    await link(at("d/one"), at("d/two"));
    await stat(at("d/one"));
    await appendFile(at("d/two"), "more");
    expect((await stat(at("d/one"))).size).toBe(5);
    await using _emptied = await open(at("d/two"), "w");
    expect((await stat(at("d/one"))).size).toBe(0);
    await appendFile(at("d/two"), "xmore");
    {
      await link(at("d/one"), at("d/three"));
      await using three = await open(at("d/three"), "r+");
      await unlink(at("d/three"));
      expect((await stat(at("d/one"))).nlink).toBe(2);
      await three.write("and more", 5);
      expect(await readFile(at("d/one"), "utf8")).toBe("xmoreand more");
      await three.truncate(5);
    }
    // rename(2): of two links to the same file, it does nothing.
    await rename(at("d/one"), at("d/two"));
    expect(await readFile(at("d/one"), "utf8")).toBe("xmore");
    expect(await readFile(at("d/two"), "utf8")).toBe("xmore");
  });

  it("who has a file open by a name that is gone sees what is written by its last one", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = (name: string): string => join(place.local, name);
    await writeFile(at("one"), "xmore");
    await link(at("one"), at("two"));
    await using two = await open(at("two"), "r");
    // Takes neither away, and then the kernel looks for the first by its name again.
    await rename(at("one"), at("two"));
    await unlink(at("two"));
    expect(await content(two)).toBe("xmore");
    await truncate(at("one"), 1);
    expect([await content(two), (await two.stat()).size]).toEqual(["x", 1]);
    await appendFile(at("one"), "yz");
    expect(await content(two)).toBe("xyz");
  });

  it("what is written to a file by another name, or there, is seen by who has it open though its mode or size is set by that", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = (name: string): string => join(place.local, name);
    await writeFile(at("one"), "before");
    await link(at("one"), at("two"));
    await using file = await open(at("one"), "r+");
    let times = 1_000;
    const sets: Array<() => Promise<void>> = [
      () => file.chmod(0o600),
      () => chmod(at("one"), 0o640),
      () => file.truncate(6),
      () => file.utimes(times, ++times),
    ];
    for (const [index, set] of sets.entries()) {
      await content(file);
      await writeFile(at("two"), `by-${index}a`, { flag: "r+" });
      await set();
      expect(await content(file)).toBe(`by-${index}ae`);
      await writeFile(join(place.remote, "two"), `by-${index}b`, { flag: "r+" });
      await set();
      expect(await content(file)).toBe(`by-${index}be`);
    }
    expect((await file.stat()).mtimeMs).toBe(times * 1_000);
  });

  it.each(["r+", "w+"])(
    "what is written in memory gets to its place, though the file is open for appending too (%s)",
    async (made) => {
      await using place = await makePlace(mountFuse);
      await place.mount();
      const path = join(place.local, "f");
      if (made === "r+") await writeFile(join(place.remote, "f"), "");
      const flags = made === "r+" ? "os.O_RDWR | os.O_APPEND" : "os.O_RDWR | os.O_APPEND | os.O_CREAT";
      const lines = [
        "import mmap, os, sys",
        `file = os.open(sys.argv[1], ${flags})`,
        'os.write(file, b"0123456789")',
        "memory = mmap.mmap(file, 10)",
        'memory[2:5] = b"abc"',
        "memory.flush()",
        'os.write(file, b"+")',
        "os.rename(sys.argv[1], sys.argv[1] + '~')",
        'memory[5:6] = b"d"',
        "memory.flush()",
      ];
      await run("python3", ["-c", lines.join("\n"), path]);
      expect(await readFile(join(place.remote, "f~"), "utf8")).toBe("01abcd6789+");
    },
  );

  it("a small file comes with its opening, and with it what is written here after that", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    await writeFile(join(place.remote, "f"), "0123456789");
    await stat(join(place.local, "f"));
    {
      await using file = await open(join(place.local, "f"), "r");
      // It isn't asked for any more.
      await writeFile(join(place.remote, "f"), "9876543210");
      expect(await content(file)).toBe("0123456789");
    }
    await stat(join(place.local, "f"));
    await using file = await open(join(place.local, "f"), "r");
    await using other = await open(join(place.local, "f"), "r+");
    await other.write("written", 2);
    expect(await content(file)).toBe("98written0");
  });

  it.runIf(isRoot)("where the kernel reads ahead no farther than it does for others than root, it does so itself", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    await writeFile(`/sys/class/bdi/${(await mountAt(place.local))?.device}/read_ahead_kb`, "128");
    const bytes = randomBytes(5_000_001);
    await writeFile(join(place.remote, "f"), bytes);
    expect((await readFile(join(place.local, "f"))).equals(bytes)).toBe(true);

    await writeFile(join(place.remote, "g"), bytes);
    await using file = await open(join(place.local, "g"), "r+");
    const read = async (from: number, length: number): Promise<Buffer> =>
      (await file.read(Buffer.alloc(length), 0, length, from)).buffer;
    for (let at = 0; at < 1_000_000; at += 50_000)
      expect((await read(at, 50_000)).equals(bytes.subarray(at, at + 50_000))).toBe(true);
    // Farther than the kernel's own.
    const ahead = 1_600_000;
    await writeFile(join(place.remote, "g"), Buffer.alloc(bytes.length));
    expect((await read(ahead, 4_096)).equals(bytes.subarray(ahead, ahead + 4_096))).toBe(true);
    await writeFile(join(place.remote, "g"), bytes);
    for (let at = 2_000_000; at < 3_000_000; at += 50_000) await read(at, 50_000);
    await file.truncate(3_500_000);
    await file.truncate(4_000_000);
    expect((await read(3_700_000, 4_096)).equals(Buffer.alloc(4_096))).toBe(true);
  });

  it("of a file far away what lies around what is read here and there comes with it, and isn't given once it is written", async () => {
    await using place = await makePlace(mountFuse);
    const far: typeof place.open = async (signal) => {
      const stream = await place.open(signal);
      const write = stream.write.bind(stream);
      stream.write = (chunk: Buffer, ...more: unknown[]) => {
        const bytes = Buffer.from(chunk);
        setTimeout(() => write(bytes), 5);
        for (const each of more) if (typeof each === "function") each();
        return true;
      };
      return stream;
    };
    await place.mount({ cacheSeconds: 60, open: far });
    const bytes = randomBytes(3_000_000);
    await writeFile(join(place.remote, "f"), bytes);
    await using file = await open(join(place.local, "f"), "r+");
    const read = async (from: number): Promise<Buffer> => (await file.read(Buffer.alloc(4_096), 0, 4_096, from)).buffer;
    const [block, page] = [128 * 1024, 4_096];
    for (const at of [5, 3, 7])
      expect((await read(at * block + page)).equals(bytes.subarray(at * block + page).subarray(0, page))).toBe(true);
    // As long as the file is taken to be as it was.
    await writeFile(join(place.remote, "f"), Buffer.alloc(bytes.length));
    expect((await read(7 * block)).equals(bytes.subarray(7 * block).subarray(0, page))).toBe(true);
    expect((await read(10 * block)).equals(Buffer.alloc(page))).toBe(true);
    await file.write(Buffer.alloc(page, "x"), 0, page, 7 * block + 5 * page);
    expect((await read(7 * block + 3 * page)).equals(Buffer.alloc(page))).toBe(true);
    expect((await read(7 * block + 5 * page)).equals(Buffer.alloc(page, "x"))).toBe(true);
  });

  it("an opening shows what the file is by then, though somebody has it open and goes on reading what came before", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const [at, there] = [join(place.local, "f"), join(place.remote, "f")];
    await writeFile(there, "old");
    await utimes(there, 1_000, 1_000);
    await stat(at);
    await using before = await open(at, "r");
    expect(await content(before)).toBe("old");
    await writeFile(there, "new");
    await utimes(there, 2_000, 2_000);
    {
      await using after = await open(at, "r");
      await content(before);
      expect(await content(after)).toBe("new");
    }
    await using later = await open(at, "r");
    expect([await content(later), await content(before)]).toEqual(["new", "new"]);
  });

  it("who has a file open sees what is written to it there, by whatever name, be its size the same", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 0.5 });
    const [at, there] = [join(place.local, "f"), join(place.remote, "f")];
    await writeFile(there, "AAAA");
    await utimes(there, 1_000, 1_000);
    await using file = await open(at, "r");
    expect(await content(file)).toBe("AAAA");
    await writeFile(there, "BBBB");
    await vi.waitFor(async () => expect(await content(file)).toBe("BBBB"), { timeout: 1_000, interval: 20 });
    await link(at, join(place.local, "g"));
    await content(file);
    await writeFile(join(place.local, "g"), "CCCC");
    await vi.waitFor(async () => expect(await content(file)).toBe("CCCC"), { timeout: 1_000, interval: 20 });
  });

  it("what another file was put in the place of stays what it is for who has it open, and for nobody else", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const [at, there] = [join(place.local, "log"), join(place.remote, "log")];
    await writeFile(there, "old-old\n");
    await using before = await open(at, "r");
    expect(await content(before)).toBe("old-old\n");
    await writeFile(`${there}~`, "new-new\n");
    await rename(`${there}~`, there);
    for (let count = 0; count < 3; count++) {
      await using after = await open(at, "r");
      expect([await content(before), await content(after), await content(before)]).toEqual(["old-old\n", "new-new\n", "old-old\n"]);
      expect((await after.stat()).ino).toBe((await stat(there)).ino);
    }
    await writeFile(`${there}~`, "longer-than-before\n");
    await rename(`${there}~`, there);
    expect(await readFile(at, "utf8")).toBe("longer-than-before\n");
    expect((await stat(at)).size).toBe(19);
    await unlink(there);
    expect([await content(before), (await before.stat()).size]).toEqual(["old-old\n", 8]);
  });

  it("what another file was put in the place of has no name any more, as soon as that is seen", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const [at, there] = [(name: string) => join(place.local, name), (name: string) => join(place.remote, name)];
    const ways: ReadonlyArray<(path: string) => Promise<unknown>> = [
      () => readdir(place.local),
      (path) => readFile(path),
      // Asks for its name, and makes nothing.
      (path) => link(at("other"), path).catch(() => {}),
    ];
    await writeFile(there("other"), "other");
    for (const [index, see] of ways.entries()) {
      await writeFile(there(`${index}`), "old");
      await using file = await open(at(`${index}`), "r");
      expect((await file.stat()).nlink).toBe(1);
      await writeFile(there("new"), "new");
      await rename(there("new"), there(`${index}`));
      await see(at(`${index}`));
      expect([index, (await file.stat()).nlink]).toEqual([index, 0]);
    }
  });

  it("what another file was put in the place of is the one that is emptied or changed by its name, not the old one, which has another", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const [at, there] = [(name: string) => join(place.local, name), (name: string) => join(place.remote, name)];
    const ways: ReadonlyArray<(path: string) => Promise<void>> = [
      async (path) => (await open(path, "w")).close(),
      (path) => truncate(path, 0),
      (path) => chmod(path, 0o600),
    ];
    for (const [index, change] of ways.entries())
      for (const bak of [`${index}~`, `~${index}`]) {
        const name = `${index}`;
        await writeFile(there(name), "old", { mode: 0o644 });
        await link(there(name), there(bak));
        for (const each of [name, bak].sort()) await stat(at(each));
        // As editors do.
        await writeFile(there("new"), "new", { mode: 0o644 });
        await rename(there("new"), there(name));
        await change(at(name));
        const what = async (path: string) => ({ content: await readFile(path, "utf8"), mode: (await stat(path)).mode & 0o777 });
        expect(await what(there(bak))).toEqual({ content: "old", mode: 0o644 });
        expect(await what(there(name))).not.toEqual({ content: "new", mode: 0o644 });
        await rm(there(name));
      }
  });

  it("what a file has grown by there is read as soon as its size is known", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    if (isRoot) await writeFile(`/sys/class/bdi/${(await mountAt(place.local))?.device}/read_ahead_kb`, "128");
    for (const size of [70_000, 300_000, 1_000_000, 3_000_000]) {
      const [at, there] = [join(place.local, `f${size}`), join(place.remote, `f${size}`)];
      await writeFile(there, randomBytes(size));
      await stat(at);
      await using file = await open(at, "r");
      await file.readFile();
      await appendFile(there, randomBytes(5_000));
      await run("stat", ["--cached=never", at]);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(10_000), 0, 10_000, size);
      expect([size, bytesRead, buffer.subarray(0, bytesRead).equals((await readFile(there)).subarray(size))]).toEqual([
        size,
        5_000,
        true,
      ]);
    }
  });

  it("a directory that was listed a moment ago isn't listed anew, unless it was changed from here", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const [at, there] = [(name: string) => join(place.local, name), (name: string) => join(place.remote, name)];
    const names = async (): Promise<string[]> => (await readdir(at("d"))).sort();
    await mkdir(there("d"));
    await writeFile(there("d/a"), "x");
    expect(await names()).toEqual(["a"]);
    await writeFile(there("d/b"), "x");
    expect(await names()).toEqual(["a"]);
    await writeFile(at("d/c"), "x");
    expect(await names()).toEqual(["a", "b", "c"]);
    await writeFile(there("d/e"), "x");
    await rename(at("d/c"), at("f"));
    expect(await names()).toEqual(["a", "b", "e"]);
    await unlink(at("d/a"));
    expect(await names()).toEqual(["b", "e"]);
    await rm(at("d"), { recursive: true });
    await mkdir(at("d"));
    expect(await names()).toEqual([]);
  });

  it("what a file has become by being written is known when it is closed", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    await writeFile(join(place.local, "f"), "0123456789");
    const { mtimeNs } = await stat(join(place.remote, "f"), { bigint: true });
    place.away(true);
    place.cut();
    expect(await stat(join(place.local, "f"), { bigint: true })).toMatchObject({ size: 10n, mtimeNs });
    place.away(false);
  });

  it("when a file was last read is seen at once", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = join(place.local, "f");
    await writeFile(at, "x");
    await utimes(at, 1_000, 2_000);
    await readFile(at);
    expect(await stat(at)).toMatchObject({ atimeMs: (await stat(join(place.remote, "f"))).atimeMs, mtimeMs: 2_000_000 });
  });

  it("a listing that began before a file was written or removed shows it as it is by then, or not at all", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 60 });
    const at = (name: string): string => join(place.local, name);
    for (let count = 0; count < 3; count++) await writeFile(at(`f${count}`), "x");
    const listing = await opendir(place.local);
    await appendFile(at("f1"), "more");
    await unlink(at("f2"));
    const names: string[] = [];
    for await (const { name } of listing) names.push(name);
    expect(names.sort()).toEqual(["f0", "f1", "f2"]);
    expect((await stat(at("f1"))).size).toBe(5);
    expect(await readFile(at("f1"), "utf8")).toBe("xmore");
    await expect(stat(at("f2"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("content that changed there is read again, be its size the same, and though its attributes were asked for meanwhile", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount({ cacheSeconds: 0.2 });
    const [at, there] = [join(place.local, "f"), join(place.remote, "f")];
    const now = Date.now() / 1000;
    const change = async (content: string, age: number): Promise<void> => {
      await writeFile(there, content);
      await utimes(there, now, now - age);
    };
    await change("old", 3_000);
    // A first reading says what there is; of the second the pages are kept.
    for (const _ of [1, 2]) expect(await readFile(at, "utf8")).toBe("old");
    await change("new", 2_000);
    await vi.waitFor(async () => expect((await stat(at)).mtimeMs / 1000).toBeCloseTo(now - 2_000, 2));
    expect(await readFile(at, "utf8")).toBe("new");
  });

  it.runIf(isRoot)("owners and times are changed one by one", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const [at, there] = [join(place.local, "f"), join(place.remote, "f")];
    await writeFile(at, "x");
    await run("touch", ["-d", "@200.123456789", there]);
    await chown(at, 1234, -1 >>> 0);
    await run("touch", ["-a", "-d", "@300.25", at]);
    const { uid, gid, atimeNs, mtimeNs } = await stat(there, { bigint: true });
    expect([uid, gid, atimeNs, mtimeNs]).toEqual([1234n, BigInt(process.getgid!()), 300_250_000_000n, 200_123_456_789n]);
    await run("touch", ["-m", "-d", "@5000000000.5", at]);
    expect(await stat(there)).toMatchObject({ atimeMs: 300_250, mtimeMs: 5_000_000_000_500 });
    const before = Date.now();
    await run("touch", ["-a", at]);
    const after = await stat(there);
    expect([after.atimeMs >= before - 1, after.mtimeMs]).toEqual([true, 5_000_000_000_500]);
  });

  it("shows inode, blocks, links and times as they are there, also of what was just linked, listed or removed", async () => {
    await using place = await makePlace(mountFuse);
    await place.mount();
    const [at, there] = [(name: string) => join(place.local, name), (name: string) => join(place.remote, name)];
    const same = async (name: string): Promise<void> => {
      const [mine, real] = await Promise.all([at(name), there(name)].map((path) => stat(path, { bigint: true })));
      const { ino, nlink, blocks, size, mode, atimeNs, mtimeNs, ctimeNs } = real!;
      expect(mine).toMatchObject({ ino, nlink, blocks, size, mode, atimeNs, mtimeNs, ctimeNs });
    };
    await writeFile(at("f"), "x");
    await run("truncate", ["-s", "1G", there("sparse")]);
    await run("touch", ["-d", "1965-01-01 00:00:00.75Z", there("old")]);
    for (const name of ["f", "sparse", "old", "."]) await same(name);
    await link(at("f"), at("g"));
    for (const name of ["f", "g", "."]) await same(name);
    const { stdout } = await run("ls", ["-iU", place.local]);
    expect(stdout).toContain(`${(await stat(there("g"))).ino} g\n`);
    await using file = await open(at("f"), "r");
    await unlink(at("g"));
    await same("f");
    await unlink(at("f"));
    expect((await file.stat()).nlink).toBe(0);
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

  it("its mounting process killed, its mount fails until it is taken off", async () => {
    await using place = await makePlace(mountFuse);
    const file = new URL("../fixtures/mounter.ts", import.meta.url).pathname;
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
