import fs, { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startClient } from "./fixtures/client.ts";
import { fileStamp, putWhereNothingIs, replaceIfSame } from "./replace.ts";
import { REPLIES, STATUS } from "./sftp.ts";

let dir: string;
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), "replace-")));
  writeFileSync(at("f"), "old");
  writeFileSync(at("new"), "new");
});
afterEach(() => rm(dir, { recursive: true, force: true }));
const at = (name: string): Buffer => Buffer.from(join(dir, name));
const stamp = (name: string): string => fileStamp(lstatSync(at(name), { bigint: true }));
const names = (): string[] => readdirSync(dir).sort();
const textOf = (name: string): string => readFileSync(at(name), "utf8");
const ways = ["with hard links", "without"] as const;

/** Until the test is over the file system has no hard links, as FAT hasn't. */
function withoutLinks(): Disposable {
  const { linkSync } = fs;
  const put = (call: typeof linkSync): void => {
    fs.linkSync = call;
    syncBuiltinESMExports();
  };
  put(() => {
    throw Object.assign(new Error("EPERM: operation not permitted, link"), { code: "EPERM" });
  });
  return { [Symbol.dispose]: () => put(linkSync) };
}

describe.each(ways)("%s", (way) => {
  let links: Disposable | undefined;
  beforeEach(() => {
    links = way === "without" ? withoutLinks() : undefined;
  });
  afterEach(() => links?.[Symbol.dispose]());
  const paths = { from: () => at("new"), to: () => at("f"), keep: () => at("kept") };
  const replace = (expected: string): void => replaceIfSame({ from: paths.from(), to: paths.to(), keep: paths.keep(), expected });

  it("what is as expected is replaced, and kept", () => {
    const { ino } = lstatSync(at("f"));
    replace(stamp("f"));
    expect([names(), textOf("f"), textOf("kept")]).toEqual([["f", "kept"], "new", "old"]);
    expect(lstatSync(at("kept")).ino).toBe(ino);
  });

  it("what isn't stays, with what would have come", () => {
    const before = stamp("f");
    writeFileSync(at("f"), "changed");
    expect(() => replace(before)).toThrow(expect.objectContaining({ code: "ESTALE" }));
    expect(() => replace("")).toThrow(expect.objectContaining({ code: "ESTALE" }));
    expect([names(), textOf("f")]).toEqual([["f", "new"], "changed"]);
  });

  it("where nothing should be, it is put; or not, where something is", () => {
    replaceIfSame({ from: at("new"), to: at("g"), keep: at("kept"), expected: "" });
    expect([names(), textOf("g")]).toEqual([["f", "g"], "new"]);
    expect(() => putWhereNothingIs(at("g"), at("f"))).toThrow(expect.objectContaining({ code: "EEXIST" }));
    expect([names(), textOf("f")]).toEqual([["f", "g"], "old"]);
  });

  it("taken away, and kept; links too; never a folder", () => {
    const before = stamp("f");
    replaceIfSame({ to: at("f"), keep: at("kept"), expected: before });
    expect([names(), textOf("kept")]).toEqual([["kept", "new"], "old"]);
    symlinkSync("anywhere", at("f"));
    replaceIfSame({ to: at("f"), keep: at("link"), expected: stamp("f") });
    expect(names()).toEqual(["kept", "link", "new"]);
    mkdirSync(at("f"));
    expect(() => replace(stamp("f"))).toThrow(expect.objectContaining({ code: "EISDIR" }));
  });

  it("changed in that moment: it has its name again", () => {
    const { renameSync } = fs;
    fs.renameSync = (from, to) => {
      writeFileSync(at("f"), "changed");
      renameSync(from, to);
    };
    syncBuiltinESMExports();
    try {
      expect(() => replaceIfSame({ to: at("f"), keep: at("kept"), expected: stamp("f") })).toThrow(
        expect.objectContaining({ code: "ESTALE" }),
      );
    } finally {
      fs.renameSync = renameSync;
      syncBuiltinESMExports();
    }
    expect([names(), textOf("f")]).toEqual([["f", "new"], "changed"]);
  });
});

describe("over SFTP", () => {
  it("attributes have stamps once they were asked for, and what is replaced by one is told with its new ones", async () => {
    await using client = startClient({ roots: [dir] });
    const plain = await client.ask({ type: "lstat", path: "f" });
    expect(plain.body).toHaveLength(32);
    expect(await client.status({ type: "stamps" })).toBe(STATUS.OK);
    const told = await client.ask({ type: "lstat", path: "f" });
    expect(told.body.toString("latin1", 32)).toContain(stamp("f"));
    const request = { type: "replace", from: "new", to: "f", keep: "kept" } as const;
    expect(await client.status({ ...request, expected: "something else" })).toBe(STATUS.FAILURE);
    const replaced = await client.ask({ ...request, expected: stamp("f") });
    expect(replaced.type).toBe(REPLIES.NAME);
    expect(replaced.body.readUInt32BE(0)).toBe(2);
    for (const name of ["f", "kept"]) expect(replaced.body.toString("latin1")).toContain(stamp(name));
    const gone = await client.ask({ ...request, from: "", keep: "kept2", expected: stamp("f") });
    expect([gone.body.readUInt32BE(0), names()]).toEqual([1, ["kept", "kept2"]]);
  });

  it("nothing outside of the roots is put, kept or taken away", async () => {
    mkdirSync(at("root"));
    writeFileSync(at("root/f"), "in");
    await using client = startClient({ roots: [join(dir, "root")] });
    const asked = [
      { from: "../new", to: "f", keep: "kept", expected: stamp("root/f") },
      { from: "", to: "../f", keep: "kept", expected: stamp("f") },
      { from: "", to: "f", keep: "../kept", expected: stamp("root/f") },
    ];
    for (const each of asked) expect(await client.status({ type: "replace", ...each })).toBe(STATUS.PERMISSION_DENIED);
    expect([names(), readdirSync(at("root"))]).toEqual([["f", "new", "root"], ["f"]]);
  });
});
