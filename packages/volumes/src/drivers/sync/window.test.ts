import fs, { closeSync, fchmodSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import promises, { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { clearAside } from "./aside.ts";
import { makePair, type Pair, shown } from "./fixtures/pair.ts";

let pair: Pair;
beforeEach(async () => {
  pair = await makePair();
  await writeFile(there("f"), "old");
  await pair.sync();
});
afterEach(() => pair[Symbol.asyncDispose]());
const here = (path: string): string => join(pair.here, path);
const there = (path: string): string => join(pair.there, path);

/** Once, right before what replaces a file (or takes it away) is asked of the cluster's side: after the last look at it. */
function beforeItIsReplacedThere(edit: () => void): void {
  const kinds = ["posix-rename@", "replace-if-same@"].map((name) => Buffer.from(name));
  const REMOVE = 13;
  pair.hooks.request = (packet) => {
    const isAside = packet.includes(there(".shipside-partial-"));
    const isThat = packet[4] === REMOVE ? !isAside : kinds.some((kind) => packet.includes(kind));
    if (!isThat || !packet.includes(there("f"))) return;
    pair.hooks.request = undefined;
    edit();
  };
}

/** The same for this machine's side: before the first call that takes the path's name off what has it. */
function beforeItIsReplacedHere(edit: () => void): void {
  const original = { rename: promises.rename, unlink: promises.unlink, renameSync: fs.renameSync };
  const restore = (): void => {
    Object.assign(promises, { rename: original.rename, unlink: original.unlink });
    fs.renameSync = original.renameSync;
    syncBuiltinESMExports();
  };
  onTestFinished(restore);
  const first = <T extends (...paths: never[]) => unknown>(call: T): T =>
    ((...paths: never[]) => {
      if (paths.some((path) => String(path) === here("f"))) {
        restore();
        edit();
      }
      return call(...paths);
    }) as T;
  Object.assign(promises, { rename: first(original.rename), unlink: first(original.unlink) });
  fs.renameSync = first(original.renameSync);
  syncBuiltinESMExports();
}

/** As editors save. */
const saveAnew = (path: string, text: string): void => {
  writeFileSync(`${path}~`, text);
  renameSync(`${path}~`, path);
};

describe("an edit after the last look", () => {
  it.each([
    ["in place", writeFileSync],
    ["by another file in its place", saveAnew],
  ])("in the cluster, %s, to what is being replaced: both are kept", async (_, edit) => {
    await writeFile(here("f"), "mine");
    beforeItIsReplacedThere(() => edit(there("f"), "theirs"));
    await pair.sync();
    expect(pair.hooks.request).toBeUndefined();
    expect(Object.values(shown(pair.there)).sort()).toEqual(["mine", "theirs"]);
    expect(shown(pair.here)).toEqual(shown(pair.there));
  });

  it("in the cluster, to what is being taken away: it comes back", async () => {
    await rm(here("f"));
    beforeItIsReplacedThere(() => writeFileSync(there("f"), "theirs"));
    await pair.sync();
    expect(pair.hooks.request).toBeUndefined();
    expect(shown(pair.there)).toEqual({ f: "theirs" });
    expect(shown(pair.here)).toEqual({ f: "theirs" });
  });

  it("in the cluster, by a file where none was: both are kept", async () => {
    await rm(there("f"));
    await pair.sync();
    await writeFile(here("f"), "mine");
    beforeItIsReplacedThere(() => writeFileSync(there("f"), "theirs"));
    await pair.sync();
    expect(pair.hooks.request).toBeUndefined();
    expect(shown(pair.there)).toEqual({ f: "theirs", "f.conflict-desk": "mine" });
    expect(shown(pair.here)).toEqual(shown(pair.there));
  });

  it("here, to what is being replaced: both are kept", async () => {
    await writeFile(there("f"), "theirs");
    beforeItIsReplacedHere(() => writeFileSync(here("f"), "mine"));
    await pair.sync();
    expect(shown(pair.here)).toEqual({ f: "theirs", "f.conflict-desk": "mine" });
    expect(shown(pair.there)).toEqual(shown(pair.here));
  });

  it("here, to what is being taken away: it comes back", async () => {
    await rm(there("f"));
    beforeItIsReplacedHere(() => writeFileSync(here("f"), "mine"));
    await pair.sync();
    expect(shown(pair.here)).toEqual({ f: "mine" });
    expect(shown(pair.there)).toEqual({ f: "mine" });
  });
});

describe("who has the file open, and writes after it was", () => {
  const sides = [
    ["in the cluster", there, here],
    ["here", here, there],
  ] as const;

  it.each(sides)("replaced %s: what they write is a file beside it", async (_, mine, other) => {
    const file = openSync(mine("f"), "a");
    await writeFile(other("f"), "newer");
    await pair.once();
    expect(await readFile(mine("f"), "utf8")).toBe("newer");
    writeSync(file, " and more");
    closeSync(file);
    await pair.sync();
    expect(shown(pair.here)).toEqual({ f: "newer", "f.conflict-desk": "old and more" });
    expect(shown(pair.there)).toEqual(shown(pair.here));
  });

  it.each(sides)("replaced %s, and then has its mode changed alone: that is no conflict", async (_, mine, other) => {
    const file = openSync(mine("f"), "a");
    await writeFile(other("f"), "newer");
    await pair.once();
    fchmodSync(file, 0o664);
    closeSync(file);
    await pair.sync();
    expect([shown(pair.here), shown(pair.there)]).toEqual([{ f: "newer" }, { f: "newer" }]);
  });

  it.each(sides)("taken away %s: it comes back", async (_, mine, other) => {
    const file = openSync(mine("f"), "a");
    rmSync(other("f"));
    await pair.once();
    expect(shown(pair.here)).not.toHaveProperty("f");
    writeSync(file, " and more");
    closeSync(file);
    await pair.sync();
    expect(shown(pair.here)).toEqual({ f: "old and more" });
    expect(shown(pair.there)).toEqual({ f: "old and more" });
  });

  it.each(sides)(
    "replaced %s by a process that was killed then: it has another name, once what was left aside is cleared",
    async (_, mine, other) => {
      await writeFile(there("untouched"), "old");
      await pair.sync();
      const file = openSync(mine("f"), "a");
      await writeFile(other("f"), "newer");
      await writeFile(other("untouched"), "newer");
      // By more than a tick of the clock later than what is there was written.
      await setTimeout(50);
      await pair.once();
      writeSync(file, " and more");
      closeSync(file);
      writeFileSync(mine(".shipside-partial-0123456789abcdef"), "not whole");
      const tree = mine === here ? pair.local : pair.remote;
      for (const { path } of (await tree.scan()).aside) await clearAside(tree, path, "desk");
      expect(shown(mine === here ? pair.here : pair.there)).toEqual({
        f: "newer",
        "f.conflict-desk": "old and more",
        untouched: "newer",
      });
    },
  );

  it("and what nobody wrote to is gone in the end", async () => {
    await writeFile(here("f"), "newer");
    await pair.sync();
    expect(await readdir(pair.there)).toEqual(["f"]);
    await writeFile(there("f"), "newest");
    await pair.sync();
    expect(await readdir(pair.here)).toEqual(["f"]);
  });
});

it("another server, which can't do it in one turn, is looked at and then asked", async () => {
  await using plain = await makePair({ plain: true });
  const [near, far] = [(path: string) => join(plain.here, path), (path: string) => join(plain.there, path)];
  for (const name of ["a", "b", "c"]) await writeFile(far(name), "old");
  await plain.sync();
  await writeFile(near("a"), "mine");
  await writeFile(far("b"), "theirs");
  await rm(near("c"));
  await writeFile(near("d"), "new");
  await plain.sync();
  expect(shown(plain.there)).toEqual({ a: "mine", b: "theirs", d: "new" });
  expect(shown(plain.here)).toEqual(shown(plain.there));
});
