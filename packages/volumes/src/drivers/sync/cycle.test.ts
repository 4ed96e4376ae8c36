import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { duplexPair } from "node:stream";
import { silentLogger } from "@shipside/core";
import { serveFiles } from "@shipside/relay";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSftpSession, type SftpSession } from "../fuse/sftp-session.ts";
import { cycle } from "./cycle.ts";
import { localTree } from "./local-tree.ts";
import type { Agreed } from "./reconcile.ts";
import { remoteTree } from "./remote-tree.ts";

/** A folder here, and one that a relay's file server has. */
async function makePair() {
  const base = await mkdtemp(join(tmpdir(), "sync-"));
  const [here, there] = [join(base, "here"), join(base, "there")];
  await Promise.all([mkdir(here), mkdir(there)]);
  const [client, server] = duplexPair();
  const served = serveFiles(server, { roots: [there] });
  const session: SftpSession = await openSftpSession(client);
  const agreed = new Map<string, Agreed>();
  const local = await localTree(here, { ignored: () => false });
  const remote = remoteTree(there, { session: () => session, ignored: () => false });
  const once = (readOnly = false) => cycle({ local, remote, agreed, readOnly, label: () => "desk", logger: silentLogger });
  return {
    ...{ here, there, agreed, local, remote, once },
    /** Until nothing is left to do. */
    async sync() {
      for (let count = 0; count < 20; count++) if ((await once()).changes === 0) return;
      throw new Error("it never ends");
    },
    async [Symbol.asyncDispose]() {
      session.end();
      await served;
      await rm(base, { recursive: true, force: true });
    },
  };
}
type Pair = Awaited<ReturnType<typeof makePair>>;

/** Each path with what is there. */
async function shown(root: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const path of (await readdir(root, { recursive: true })).sort()) {
    const stats = await lstat(join(root, path));
    found[path] = stats.isDirectory()
      ? "/"
      : stats.isSymbolicLink()
        ? `-> ${await readlink(join(root, path))}`
        : `${(stats.mode & 0o111) === 0 ? "" : "x "}${await readFile(join(root, path), "latin1")}`;
  }
  return found;
}

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
    expect(await shown(pair.here)).toEqual(await shown(pair.there));
    expect(Object.keys(await shown(pair.here))).toHaveLength(7);
    await chmod(here("empty"), 0o755);
    await rm(here("a"), { recursive: true });
    await rm(there("run"));
    await pair.sync();
    expect(await shown(pair.here)).toEqual({ empty: "x ", link: "-> a/b/f", "ünï ' 雪": "x" });
    expect(await shown(pair.there)).toEqual(await shown(pair.here));
  });

  it("changed both: the cluster's keeps the name, what was here stands beside it, on both", async () => {
    await writeFile(there("f"), "old");
    await pair.sync();
    await writeFile(here("f"), "mine");
    await writeFile(there("f"), "theirs");
    await pair.sync();
    expect(await shown(pair.here)).toEqual({ f: "theirs", "f.conflict-desk": "mine" });
    expect(await shown(pair.there)).toEqual(await shown(pair.here));
    await writeFile(here("f"), "same");
    await writeFile(there("f"), "same");
    await pair.sync();
    expect(Object.keys(await shown(pair.here))).toEqual(["f", "f.conflict-desk"]);
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
    expect(await shown(pair.here)).toEqual({ d: "/", "d/f": "newer" });
  });

  it("a folder that could not be read deletes nothing in the cluster, nor does one that was put in the root's place", async () => {
    await mkdir(there("d/e"), { recursive: true });
    await writeFile(there("d/e/f"), "kept");
    await pair.sync();
    const before = await shown(pair.there);
    // As root nothing is unreadable: what a scan that failed on the way says.
    const broken = { ...pair.local, scan: async () => ({ items: new Map(), missed: ["d"] }) };
    const { agreed, remote } = pair;
    const parts = { remote, agreed, readOnly: false, label: () => "desk", logger: silentLogger };
    await cycle({ ...parts, local: broken });
    expect(Object.keys(await shown(pair.there))).toEqual(["d", "d/e", "d/e/f"]);
    // Found, it is still there when it is asked for by name.
    await cycle({ ...parts, local: { ...pair.local, scan: async () => ({ items: new Map(), missed: [] }) } });
    expect(await shown(pair.there)).toEqual(before);
    await rm(pair.here, { recursive: true });
    await mkdir(pair.here);
    await expect(pair.once()).rejects.toMatchObject({ code: "ESTALE" });
    expect(await shown(pair.there)).toEqual(before);
  });

  it("a file here and a folder there of the same name: both are kept", async () => {
    await writeFile(here("x"), "file");
    await mkdir(there("x"));
    await writeFile(there("x/in"), "it");
    await pair.sync();
    expect(await shown(pair.here)).toEqual({ x: "/", "x/in": "it", "x.conflict-desk": "file" });
    expect(await shown(pair.there)).toEqual(await shown(pair.here));
  });

  it("read-only: what changes there comes, and nothing goes", async () => {
    await writeFile(there("f"), "1");
    await pair.once(true);
    await writeFile(here("mine"), "x");
    await rm(here("f"));
    await pair.once(true);
    expect(await shown(pair.there)).toEqual({ f: "1" });
    await writeFile(there("f"), "22");
    await pair.once(true);
    expect(await shown(pair.here)).toEqual({ f: "22", mine: "x" });
  });
});

const path = fc.constantFrom("a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "b/a");
const side = fc.constantFrom("here" as const, "there" as const);
const edit = fc.oneof(
  { weight: 6, arbitrary: fc.record({ what: fc.constant("write" as const), path, side }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant("remove" as const), path, side }) },
  { weight: 2, arbitrary: fc.record({ what: fc.constantFrom("cycle" as const, "sync" as const) }) },
);

it("whatever is edited on both sides, and whenever, no newest edit is lost, and both are the same in the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { maxLength: 25 }), async (edits) => {
      await using pair = await makePair();
      let count = 1000;
      /** What was written, less what was replaced or taken away where it was before one's eyes. */
      const newest = new Set<string>();
      for (const each of edits) {
        if (!("path" in each)) await (each.what === "cycle" ? pair.once() : pair.sync());
        else {
          const at = join(pair[each.side], each.path);
          const before = Object.values(await shown(pair[each.side]));
          if (each.what === "remove") await rm(at, { recursive: true, force: true }).catch(() => {});
          else {
            const text = `text ${count++}`;
            await mkdir(dirname(at), { recursive: true }).catch(() => {});
            await writeFile(at, text).then(
              () => newest.add(text),
              () => {},
            );
          }
          const after = new Set(Object.values(await shown(pair[each.side])));
          for (const text of before) if (!after.has(text)) newest.delete(text);
        }
      }
      await pair.sync();
      const [ours, theirs] = [await shown(pair.here), await shown(pair.there)];
      expect(ours).toEqual(theirs);
      for (const text of newest) expect(Object.values(ours)).toContain(text);
      expect([...(await readdir(pair.here, { recursive: true }))].filter((name) => name.includes("partial"))).toEqual([]);
    }),
    { numRuns: process.env["SHIPSIDE_SOAK"] === "1" ? 1_000 : 60 },
  );
}, 300_000);
