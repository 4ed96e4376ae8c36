import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openLedger, parseOwed } from "./ledger.ts";

let parent: string;
let dir: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "shipside-ledger-"));
  dir = join(parent, "ledger");
});
afterEach(() => rm(parent, { recursive: true }));

test("what is owed is on disk, and gone with the last of it", async () => {
  {
    await using ledger = await openLedger(dir, 1000);
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    expect(ledger.found).toEqual({ hosts: false, aliases: [], damaged: false });
    await ledger.owe({ hosts: true });
    await ledger.owe({ aliases: ["127.72.0.1"] });
    const path = join(dir, "helper-1000.json");
    expect(JSON.parse(await readFile(path, "utf8"))).toEqual({ v: 1, hosts: true, aliases: ["127.72.0.1"] });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  }
  await using next = await openLedger(dir, 1000);
  expect(next.found).toEqual({ hosts: true, aliases: ["127.72.0.1"], damaged: false });
  await next.owe({ hosts: false, aliases: [] });
  expect(await readdir(dir)).toEqual(["helper-1000.lock"]);
});

test("one helper a user, others beside it; a crash between write and rename leaves the old record", async () => {
  await using first = await openLedger(dir, 1000);
  await expect(openLedger(dir, 1000, 0)).rejects.toMatchObject({ code: "HELPER_RUNNING", hint: expect.any(String) });
  await using _other = await openLedger(dir, 1001, 0);
  await writeFile(join(dir, "helper-1000.json.new"), "{");
  await first.owe({ hosts: true });
  expect(await readdir(dir)).not.toContain("helper-1000.json.new");
});

test("a damaged record owes the hosts file, and is cleared with it", async () => {
  await mkdir(dir, { mode: 0o700 });
  await writeFile(join(dir, "helper-7.json"), '{"v":1,"hos');
  await using ledger = await openLedger(dir, 7);
  expect(ledger.found).toMatchObject({ hosts: true, damaged: true });
  await ledger.owe({ hosts: false });
  expect(await readdir(dir)).toEqual(["helper-7.lock"]);
});

test("a folder that is not its owner's alone is not trusted", async () => {
  await mkdir(dir);
  await chmod(dir, 0o755);
  await expect(openLedger(dir, 1)).rejects.toMatchObject({ code: "HELPER_FAILED" });
  await symlink(parent, join(parent, "link"));
  await expect(openLedger(join(parent, "link"), 1)).rejects.toMatchObject({ code: "HELPER_FAILED" });
  await expect(openLedger(join(parent, "no", "such"), 1)).rejects.toMatchObject({ code: "HELPER_FAILED" });
});

test("what cannot be written is not done", async () => {
  await using ledger = await openLedger(dir, 1);
  await mkdir(join(dir, "helper-1.json.new"));
  await expect(ledger.owe({ hosts: true })).rejects.toMatchObject({ code: "HELPER_FAILED" });
  expect(ledger.owed.hosts).toBe(false);
});

test("no text is taken for a record that isn't one", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(parseOwed(text)).toBeUndefined();
    }),
  );
  expect(parseOwed('{"v":1,"hosts":false,"aliases":["127.0.0.1"]}')).toBeUndefined();
  expect(parseOwed('{"v":2,"hosts":false,"aliases":[]}')).toBeUndefined();
});
