import { chmod, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { silentLogger } from "@shipside/core";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cycle } from "./cycle.ts";
import { makePair, type Pair, shown } from "./fixtures/pair.ts";

describe("both sides", () => {
  let pair: Pair;
  beforeEach(async () => {
    pair = await makePair();
  });
  afterEach(() => pair[Symbol.asyncDispose]());
  const here = (path: string): string => join(pair.here, path);
  const there = (path: string): string => join(pair.there, path);

  it("have what either has: files, folders, links, modes; and what is taken away on one goes on the other", async () => {
    await mkdir(there("a/b"), { recursive: true });
    await writeFile(there("a/b/f"), Buffer.alloc(700_001, 7));
    await writeFile(there("empty"), "");
    await symlink("a/b/f", there("link"));
    await writeFile(here("run"), "#!/bin/sh\n", { mode: 0o755 });
    await writeFile(here("ünï ' 雪"), "x");
    await pair.sync();
    expect(shown(pair.here)).toEqual(shown(pair.there));
    expect(Object.keys(shown(pair.here))).toHaveLength(7);
    await chmod(here("empty"), 0o755);
    await rm(here("a"), { recursive: true });
    await rm(there("run"));
    await pair.sync();
    expect(shown(pair.here)).toEqual({ empty: "x ", link: "-> a/b/f", "ünï ' 雪": "x" });
    expect(shown(pair.there)).toEqual(shown(pair.here));
  });

  it("changed both: the cluster's keeps the name, what was here stands beside it, on both", async () => {
    await writeFile(there("f"), "old");
    await pair.sync();
    await writeFile(here("f"), "mine");
    await writeFile(there("f"), "theirs");
    await pair.sync();
    expect(shown(pair.here)).toEqual({ f: "theirs", "f.conflict-desk": "mine" });
    expect(shown(pair.there)).toEqual(shown(pair.here));
    await writeFile(here("f"), "same");
    await writeFile(there("f"), "same");
    await pair.sync();
    expect(Object.keys(shown(pair.here))).toEqual(["f", "f.conflict-desk"]);
  });

  it("changed there within the second and without a change of size: seen all the same", async () => {
    await writeFile(there("f"), "1");
    await pair.sync();
    await writeFile(there("f"), "2");
    await pair.sync();
    expect(await readFile(here("f"), "utf8")).toBe("2");
  });

  it("taken away here and changed there: it comes back", async () => {
    await mkdir(there("d"));
    await writeFile(there("d/f"), "old");
    await pair.sync();
    await rm(here("d"), { recursive: true });
    await writeFile(there("d/f"), "newer");
    await pair.sync();
    expect(shown(pair.here)).toEqual({ d: "/", "d/f": "newer" });
  });

  it("a folder that could not be read deletes nothing in the cluster, nor does one that was put in the root's place", async () => {
    await mkdir(there("d/e"), { recursive: true });
    await writeFile(there("d/e/f"), "kept");
    await pair.sync();
    const before = shown(pair.there);
    // As root nothing is unreadable: what a scan that failed on the way says.
    const broken = { ...pair.local, scan: async () => ({ items: new Map(), missed: ["d"], aside: [] }) };
    const { agreed, kept, remote } = pair;
    const parts = { remote, agreed, kept, readOnly: false, label: () => "desk", onConflict: () => {}, logger: silentLogger };
    await cycle({ ...parts, local: broken });
    expect(Object.keys(shown(pair.there))).toEqual(["d", "d/e", "d/e/f"]);
    // Found, it is still there when it is asked for by name.
    await cycle({ ...parts, local: { ...pair.local, scan: async () => ({ items: new Map(), missed: [], aside: [] }) } });
    expect(shown(pair.there)).toEqual(before);
    await rm(pair.here, { recursive: true });
    await mkdir(pair.here);
    await expect(pair.once()).rejects.toMatchObject({ code: "ESTALE" });
    expect(shown(pair.there)).toEqual(before);
  });

  it("a file here and a folder there of the same name: both are kept", async () => {
    await writeFile(here("x"), "file");
    await mkdir(there("x"));
    await writeFile(there("x/in"), "it");
    await pair.sync();
    expect(shown(pair.here)).toEqual({ x: "/", "x/in": "it", "x.conflict-desk": "file" });
    expect(shown(pair.there)).toEqual(shown(pair.here));
  });

  it("read-only: what changes there comes, and nothing goes", async () => {
    await writeFile(there("f"), "1");
    await pair.once(true);
    await writeFile(here("mine"), "x");
    await rm(here("f"));
    await pair.once(true);
    expect(shown(pair.there)).toEqual({ f: "1" });
    await writeFile(there("f"), "22");
    await pair.once(true);
    expect(shown(pair.here)).toEqual({ f: "22", mine: "x" });
  });
});
