import { lstat, mkdir, mkdtemp, readdir, readFile, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { TarEntry } from "./tar-reader.ts";
import { type Unpacked, unpackInto } from "./unpack.ts";

let scratch: string;
let root: string;

beforeEach(async () => {
  scratch = await realpath(await mkdtemp(join(tmpdir(), "unpack-")));
  root = join(scratch, "outer", "root");
  await mkdir(root, { recursive: true });
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

type Item = Omit<TarEntry, "size"> & { data: Buffer };

const entry = (name: string, fields: Partial<Item> = {}): Item => ({
  name,
  type: "file",
  mode: 0o644,
  mtime: 0,
  target: "",
  data: Buffer.from(name),
  ...fields,
});

async function unpack(entries: readonly Item[], directory: string): Promise<Unpacked> {
  await using unpacking = unpackInto(directory);
  for (const { data, ...facts } of entries) {
    unpacking.entry({ ...facts, size: data.length });
    for (let at = 0; at < data.length; at += 60_000) {
      unpacking.data(data.subarray(at, at + 60_000));
      await unpacking.busy;
    }
    unpacking.end();
  }
  return await unpacking.finish();
}

it("refuses a name that leads out, and writes nothing there", async () => {
  for (const name of ["../evil", "a/../../evil", "a/..", "x\0y"]) {
    await expect(unpack([entry(name)], root)).rejects.toMatchObject({ code: "VOLUMES_PATH_UNSAFE" });
  }
  expect(await readdir(join(scratch, "outer"))).toEqual(["root"]);
});

it("takes an absolute name for one inside, keeps links that stay inside, and leaves out what can't be here", async () => {
  const { files, skipped } = await unpack(
    [
      entry("/etc/passwd"),
      entry("dev", { type: "other" }),
      entry("out", { type: "symlink", target: "/etc/passwd" }),
      entry("up", { type: "symlink", target: "../root/etc" }),
      entry("sub/back", { type: "symlink", target: "../etc/passwd" }),
      entry("same", { type: "hardlink", target: "etc/passwd" }),
      entry("foreign", { type: "hardlink", target: "etc/shadow" }),
    ],
    root,
  );
  expect(files).toBe(2);
  expect(skipped.sort()).toEqual(["dev", "foreign", "out", "up"]);
  expect(await realpath(join(root, "sub/back"))).toBe(join(root, "etc/passwd"));
  expect((await lstat(join(root, "etc/passwd"))).mode & 0o777).toBe(0o444);
});

it("large files are the same, and closed, between small ones", async () => {
  const bytes = (length: number): Buffer => Buffer.alloc(length, "0123456789abcdefg");
  const items = [0, 1, 300_000, 5, 1_048_576, 20_000_000, 2_097_153, 7].map((length, at) =>
    entry(`f${at}`, { data: bytes(length) }),
  );
  const open = (await readdir("/proc/self/fd")).length;
  expect(await unpack(items, root)).toMatchObject({ files: items.length });
  for (const { name, data } of items) {
    expect((await readFile(join(root, name))).equals(data), name).toBe(true);
    expect((await lstat(join(root, name))).mode & 0o777).toBe(0o444);
  }
  // Half of one, as where the connection is lost.
  {
    await using unpacking = unpackInto(join(root, "other"));
    unpacking.entry({ ...entry("half"), size: 5_000_000 });
    unpacking.data(bytes(3_000_000));
  }
  expect((await readdir("/proc/self/fd")).length).toBe(open);
});

it("a link isn't kept that goes up again after another link", async () => {
  const { skipped } = await unpack(
    [entry("a/b/c/root", { type: "symlink", target: "../../.." }), entry("a/b/x", { type: "symlink", target: "c/root/../.." })],
    root,
  );
  expect(skipped).toEqual(["a/b/x"]);
  expect(await realpath(join(root, "a/b/c/root"))).toBe(root);
});

const name = fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"));
const target = fc
  .array(fc.constantFrom("a", "b", "c", "..", "..", "."), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join("/"));

it("no set of links leads out, alone or through each other", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(name, fc.constantFrom("symlink", "symlink", "directory", "file") as fc.Arbitrary<TarEntry["type"]>, target),
      ),
      async (set) => {
        await rm(root, { recursive: true });
        await mkdir(root);
        const entries = set.map(([path, type, to]) => entry(path, { type, target: to }));
        // A file where a directory is wanted is the file system's to refuse.
        await unpack(entries, root).catch((error: NodeJS.ErrnoException) => expect(error.code).toMatch(/^E/));
        for (const found of await readdir(root, { recursive: true, withFileTypes: true })) {
          if (!found.isSymbolicLink()) continue;
          const leads = await realpath(join(found.parentPath, found.name)).catch(() => root);
          expect(leads === root || leads.startsWith(`${root}/`), `${found.name} leads to ${leads}`).toBe(true);
        }
        expect(await readdir(join(scratch, "outer"))).toEqual(["root"]);
      },
    ),
    { numRuns: 100 },
  );
});
