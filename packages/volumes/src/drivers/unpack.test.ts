import { lstat, mkdir, mkdtemp, readdir, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { TarEntry } from "./tar-reader.ts";
import { unpack } from "./unpack.ts";

let scratch: string;
let root: string;

beforeEach(async () => {
  scratch = await realpath(await mkdtemp(join(tmpdir(), "unpack-")));
  root = join(scratch, "outer", "root");
  await mkdir(root, { recursive: true });
});
afterEach(() => rm(scratch, { recursive: true, force: true }));

const entry = (name: string, fields: Partial<TarEntry> = {}): TarEntry => ({
  name,
  type: "file",
  mode: 0o644,
  mtime: 0,
  target: "",
  data: Buffer.from(name),
  ...fields,
});
const { signal } = new AbortController();

it("refuses a name that leads out, and writes nothing there", async () => {
  for (const name of ["../evil", "a/../../evil", "a/..", "x\0y"]) {
    await expect(unpack([entry(name)], root, signal)).rejects.toMatchObject({ code: "VOLUMES_PATH_UNSAFE" });
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
    signal,
  );
  expect(files).toBe(2);
  expect(skipped.sort()).toEqual(["dev", "foreign", "out", "up"]);
  expect(await realpath(join(root, "sub/back"))).toBe(join(root, "etc/passwd"));
  expect((await lstat(join(root, "etc/passwd"))).mode & 0o777).toBe(0o444);
});

it("a link isn't kept that goes up again after another link", async () => {
  const { skipped } = await unpack(
    [entry("a/b/c/root", { type: "symlink", target: "../../.." }), entry("a/b/x", { type: "symlink", target: "c/root/../.." })],
    root,
    signal,
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
        await unpack(entries, root, signal).catch((error: NodeJS.ErrnoException) => expect(error.code).toMatch(/^E/));
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
