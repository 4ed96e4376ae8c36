import { chmod, chown, link, lstat, readFile, readlink, rename, rm, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { scratchHosts } from "./fixtures/scratch.ts";
import { openHosts } from "./hosts-file.ts";
import { isTorn } from "./in-place.ts";

const leaf = [{ address: "127.72.0.1", names: ["leaf", "leaf.sample"] }];
const applied = "127.0.0.1 localhost\n# >>> shipside:o >>>\n127.72.0.1 leaf leaf.sample # shipside:o\n# <<< shipside:o <<<\n";

afterEach(() => vi.restoreAllMocks());

describe("openHosts", () => {
  it("plans without writing, applies, replaces, restores", async () => {
    await using scratch = await scratchHosts();
    await using hosts = await openHosts({ path: scratch.path, owner: "o" });
    const plan = await hosts.plan(leaf);
    expect(plan).toEqual({ added: ["127.72.0.1 leaf leaf.sample # shipside:o"], removed: [], conflicts: [], unchanged: false });
    expect(await scratch.files()).toEqual(["hosts"]);
    expect(await scratch.read()).toBe("127.0.0.1 localhost\n");
    expect(await hosts.apply(leaf)).toEqual(plan);
    expect(await scratch.read()).toBe(applied);
    expect(await hosts.apply(leaf)).toEqual({ added: [], removed: [], conflicts: [], unchanged: true });
    const other = await hosts.apply([{ address: "127.72.0.2", names: ["core"] }]);
    expect(other).toMatchObject({ added: ["127.72.0.2 core # shipside:o"], removed: plan.added });
    await hosts.restore();
    await hosts.restore();
    expect(await scratch.read()).toBe("127.0.0.1 localhost\n");
    expect(await scratch.files()).toEqual(["hosts", "hosts.shipside-backup"]);
  });

  it("applying nothing leaves nothing", async () => {
    await using scratch = await scratchHosts();
    await using hosts = await openHosts({ path: scratch.path, owner: "o" });
    await hosts.apply(leaf);
    expect(await hosts.apply([])).toMatchObject({ removed: ["127.72.0.1 leaf leaf.sample # shipside:o"] });
    expect(await scratch.read()).toBe("127.0.0.1 localhost\n");
  });

  it("close restores what this handle applied, and only that", async () => {
    await using scratch = await scratchHosts();
    const looking = await openHosts({ path: scratch.path, owner: "o" });
    {
      await using hosts = await openHosts({ path: scratch.path, owner: "o" });
      await hosts.apply(leaf);
      await looking.close();
      expect(await scratch.read()).toBe(applied);
    }
    expect(await scratch.read()).toBe("127.0.0.1 localhost\n");
    await looking.close();
    for (const use of [() => looking.plan(leaf), () => looking.apply(leaf), () => looking.restore()]) {
      await expect(use()).rejects.toMatchObject({ code: "HOSTS_CLOSED" });
    }
  });

  it("a close that failed can be tried again", async () => {
    await using scratch = await scratchHosts();
    const hosts = await openHosts({ path: scratch.path, owner: "o", lockTimeoutMs: 10 });
    await hosts.apply(leaf);
    await writeFile(`${scratch.path}.shipside-lock`, "somebody");
    await expect(hosts.close()).rejects.toMatchObject({ code: "HOSTS_LOCKED" });
    await unlink(`${scratch.path}.shipside-lock`);
    await hosts.close();
    expect(await scratch.read()).toBe("127.0.0.1 localhost\n");
  });

  it("several owners coexist, and the last restore gives back every byte", async () => {
    const bytes = Buffer.from([
      0xef, 0xbb, 0xbf, 0x31, 0x2e, 0x31, 0x2e, 0x31, 0x2e, 0x31, 9, 0x61, 13, 10, 0xff, 0xfe, 0x80, 13, 10, 35, 0xe4,
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { maxLength: 8 }), async (steps) => {
        await using scratch = await scratchHosts(bytes);
        const owners = await Promise.all(["a", "b", "c"].map((owner) => openHosts({ path: scratch.path, owner })));
        for (const [who, count] of steps) {
          await owners[who]?.apply(Array.from({ length: count }, (_, at) => ({ address: `127.72.0.${at}`, names: [`n${who}`] })));
        }
        await Promise.all(owners.map((hosts) => hosts.close()));
        expect(await readFile(scratch.path)).toEqual(bytes);
      }),
      { numRuns: 15 },
    );
  });

  it("a person's edit made meanwhile survives, also one in the very middle of a write", async () => {
    await using scratch = await scratchHosts();
    await using hosts = await openHosts({ path: scratch.path, owner: "o" });
    await hosts.apply(leaf);
    await writeFile(scratch.path, `10.0.0.9 mine\n${await scratch.read()}10.0.0.8 theirs`);
    await hosts.restore();
    expect(await scratch.read()).toBe("10.0.0.9 mine\n127.0.0.1 localhost\n10.0.0.8 theirs");
    // An editor that keeps saving, with no idea of a lock, while we write.
    const saving = (async () => {
      for (let edit = 0; edit < 30; edit++) {
        await writeFile(`${scratch.path}.editor`, `${(await scratch.read()).trimEnd()}\n10.1.0.${edit} edit${edit}\n`);
        await rename(`${scratch.path}.editor`, scratch.path);
        await new Promise((resolve) => setTimeout(resolve, 3));
      }
    })();
    while (!(await scratch.read()).includes("edit29"))
      await hosts.apply([{ address: "127.72.0.1", names: [`n${Math.random().toString(36).slice(2)}`] }]);
    await saving;
    // The editor may have overwritten ours; but what it saved last, with what it had read, is there.
    expect(await scratch.read()).toContain("10.1.0.29 edit29\n");
  });

  it("starts over when the file changes between reading and renaming", async () => {
    await using scratch = await scratchHosts();
    const { hasChanged, readSnapshot } = await import("./snapshot.ts");
    const { replaceFile } = await import("./atomic-write.ts");
    const { silentLogger } = await import("@shipside/core");
    const snapshot = await readSnapshot(scratch.path);
    await writeFile(scratch.path, "127.0.0.1 edited!!!\n");
    expect(await hasChanged(snapshot)).toBe(true);
    const write = { side: scratch.path, token: "t", logger: silentLogger };
    expect(await replaceFile(snapshot, "lost", write)).toBe("changed");
    await link(scratch.path, join(scratch.dir, "hard"));
    expect(await replaceFile(snapshot, "lost", write)).toBe("changed");
    expect(await scratch.read()).toBe("127.0.0.1 edited!!!\n");
    expect(await scratch.files()).toEqual(["hard", "hosts"]);
  });

  it("keeps mode and owner, symbolic links and hard links", async () => {
    await using scratch = await scratchHosts();
    const real = join(scratch.dir, "real");
    await rename(scratch.path, real);
    await symlink("real", scratch.path);
    await chmod(real, 0o604);
    const root = process.getuid?.() === 0;
    if (root) await chown(real, 12, 34);
    await using hosts = await openHosts({ path: scratch.path, owner: "o" });
    await hosts.apply(leaf);
    expect(await readlink(scratch.path)).toBe("real");
    expect((await lstat(scratch.path)).isSymbolicLink()).toBe(true);
    expect(await readFile(real, "latin1")).toBe(applied);
    expect((await stat(real)).mode & 0o7777).toBe(0o604);
    if (root) expect(await stat(real)).toMatchObject({ uid: 12, gid: 34 });
    const { ino } = await stat(real);
    await link(real, join(scratch.dir, "hard"));
    await hosts.restore();
    expect((await stat(real)).ino).toBe(ino);
    expect(await readFile(join(scratch.dir, "hard"), "latin1")).toBe("127.0.0.1 localhost\n");
  });

  it("reports names that other lines give another address, with the line", async () => {
    await using scratch = await scratchHosts(
      "# comment\r\n127.0.0.1 localhost\r\n\r\n  10.0.0.1\tdb  LEAF # x\r\n::0001 six\r\n127.72.0.1 leaf\r\n10.0.0.2 nobody\r\n",
    );
    await using other = await openHosts({ path: scratch.path, owner: "other" });
    await other.apply([{ address: "127.9.9.9", names: ["core"] }]);
    await using hosts = await openHosts({ path: scratch.path, owner: "o" });
    const entries = [...leaf, { address: "::1", names: ["six"] }, { address: "127.72.0.2", names: ["db", "core"] }];
    const conflicts = [
      { name: "db", ours: "127.72.0.2", theirs: "10.0.0.1", line: 4 },
      { name: "LEAF", ours: "127.72.0.1", theirs: "10.0.0.1", line: 4 },
      { name: "core", ours: "127.72.0.2", theirs: "127.9.9.9", line: 9, owner: "other" },
    ];
    expect((await hosts.plan(entries)).conflicts).toEqual(conflicts);
    expect((await hosts.apply(entries)).conflicts).toEqual(conflicts);
    expect((await hosts.plan(entries)).conflicts).toEqual(conflicts);
    await using quiet = await openHosts({ path: scratch.path, owner: "q", reportConflicts: false });
    expect((await quiet.plan(entries)).conflicts).toEqual([]);
  });

  it("keeps one backup of the original, never of a file with our lines, and a new one for a new start", async () => {
    await using scratch = await scratchHosts("one\n");
    const backup = () => readFile(`${scratch.path}.shipside-backup`, "latin1");
    await chmod(scratch.path, 0o640);
    await using a = await openHosts({ path: scratch.path, owner: "a" });
    await using b = await openHosts({ path: scratch.path, owner: "b" });
    await a.apply(leaf);
    expect((await stat(`${scratch.path}.shipside-backup`)).mode & 0o777).toBe(0o640);
    await writeFile(scratch.path, `${await scratch.read()}two\n`);
    await b.apply(leaf);
    await a.restore();
    await a.apply(leaf);
    expect(await backup()).toBe("one\n");
    await rm(`${scratch.path}.shipside-backup`);
    await a.apply([{ address: "127.72.0.9", names: ["x"] }]);
    expect(await backup()).toBe("one\ntwo\n");
    await a.restore();
    await b.restore();
    await writeFile(scratch.path, "three\n");
    await a.apply(leaf);
    expect(await backup()).toBe("three\n");
  });

  it("keeps the backup in `backupDir` where that is given", async () => {
    await using scratch = await scratchHosts();
    await using place = await scratchHosts();
    await using hosts = await openHosts({ path: scratch.path, owner: "o", backupDir: place.dir });
    await hosts.apply(leaf);
    expect(await scratch.files()).toEqual(["hosts"]);
    expect(await place.files()).toEqual(["hosts", "hosts.shipside-backup"]);
  });

  it("refuses bad entries and options before anything is touched", async () => {
    await using scratch = await scratchHosts();
    await using hosts = await openHosts({ path: scratch.path, owner: "o" });
    for (const names of [["a\n10.0.0.1 evil"], ["a b"], []]) {
      await expect(hosts.apply([{ address: "127.72.0.1", names }])).rejects.toMatchObject({ code: "HOSTS_INVALID_ENTRY" });
      await expect(hosts.plan([{ address: "127.72.0.1", names }])).rejects.toMatchObject({ code: "HOSTS_INVALID_ENTRY" });
    }
    expect(await scratch.files()).toEqual(["hosts"]);
    for (const bad of [
      { owner: "" },
      { owner: "a\nb" },
      { owner: "a b" },
      { path: "hosts" },
      { backupDir: "x" },
      { lockTimeoutMs: -1 },
      { lockTimeoutMs: Number.NaN },
    ]) {
      await expect(openHosts({ path: scratch.path, owner: "o", ...bad }), JSON.stringify(bad)).rejects.toMatchObject({
        code: "HOSTS_INVALID_OPTION",
      });
    }
    await expect(openHosts({ path: join(scratch.dir, "none"), owner: "o" })).rejects.toMatchObject({ code: "HOSTS_MISSING" });
    await expect(openHosts({ path: scratch.dir, owner: "o" })).rejects.toMatchObject({ code: "HOSTS_UNREADABLE" });
    await writeFile(scratch.path, Buffer.from("\ufeff127.0.0.1 localhost\r\n", "utf16le"));
    await expect(openHosts({ path: scratch.path, owner: "o" })).rejects.toMatchObject({ code: "HOSTS_ENCODING" });
  });

  it("a hosts file that somebody deleted has nothing to restore", async () => {
    await using scratch = await scratchHosts();
    const hosts = await openHosts({ path: scratch.path, owner: "o" });
    await hosts.apply(leaf);
    await unlink(scratch.path);
    await hosts.close();
  });

  it("takes back an in-place write that was cut, and leaves a file that was edited since", async () => {
    await using scratch = await scratchHosts();
    const before = "127.0.0.1 localhost\n# tail\n";
    const after = `${applied}# tail\n`;
    const record = (text: string) => Buffer.from(text).toString("base64");
    const cut = async (now: string) => {
      await writeFile(`${scratch.path}.shipside-write`, JSON.stringify({ before: record(before), after: record(after) }));
      await writeFile(scratch.path, now);
      await using hosts = await openHosts({ path: scratch.path, owner: "p" });
      await hosts.apply(leaf);
      await hosts.restore();
      return scratch.read();
    };
    expect(await cut(after.slice(0, 40))).toBe(before);
    expect(await cut(before + after.slice(before.length))).toBe(before);
    expect(await cut(after)).toBe(after);
    expect(await cut(before)).toBe(before);
    expect(await scratch.files()).not.toContain("hosts.shipside-write");
    expect(await cut("10.0.0.1 edited\n")).toBe("10.0.0.1 edited\n");
    expect(await scratch.files()).toContain("hosts.shipside-write-kept");
  });

  it("knows every state of a cut write", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), fc.nat(), fc.nat(), (b, a, tail, head) => {
        const [before, after] = [Buffer.from(b), Buffer.from(a)];
        const grown = Buffer.concat([before, after.subarray(before.length, before.length + (tail % (after.length + 1)))]);
        const done = Buffer.concat([before, after.subarray(before.length)]);
        after.copy(done, 0, 0, Math.min(head % (after.length + 1), before.length));
        for (const now of [grown, done]) {
          expect(isTorn(now, before, after)).toBe(!now.equals(before) && !now.equals(after));
        }
      }),
    );
  });

  it("10,000 names are applied quickly", async () => {
    await using scratch = await scratchHosts();
    await using hosts = await openHosts({ path: scratch.path, owner: "o" });
    const entries = Array.from({ length: 2_500 }, (_, at) => {
      const name = `service-${at}`;
      return {
        address: `127.72.${at >> 8}.${at & 255}`,
        names: [name, `${name}.ns`, `${name}.ns.svc`, `${name}.ns.svc.cluster.local`],
      };
    });
    const began = process.cpuUsage();
    await hosts.apply(entries);
    const { user, system } = process.cpuUsage(began);
    // The bench says how fast; this only catches what grows with the square. Processor time: what the machine does besides is not ours.
    expect((user + system) / 1_000).toBeLessThan(1_000);
    expect((await hosts.plan(entries)).unchanged).toBe(true);
  });
});
