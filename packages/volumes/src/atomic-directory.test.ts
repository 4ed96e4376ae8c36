import { mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createAtomicDirectory, removeRemains } from "./atomic-directory.ts";
import type { Payload } from "./payload.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "atomic-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const payload = (files: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));

it("lays the files out as the kubelet does, with their modes", async () => {
  const directory = createAtomicDirectory(dir, new Set(["inner"]));
  expect(await directory.write(payload({ a: "1", "sub/b": "2", "inner/c": "3" }, 0o400))).toBe(true);
  expect(await readlink(join(dir, "a"))).toBe("..data/a");
  expect(await readlink(join(dir, "..data"))).toMatch(/^\.\.\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d\./);
  expect((await stat(join(dir, "sub/b"))).mode & 0o777).toBe(0o400);
  expect((await readdir(dir)).filter((name) => !name.startsWith(".."))).toEqual(["a", "sub"]);
  expect(await directory.write(payload({ a: "1", "sub/b": "2", "inner/c": "3" }, 0o400))).toBe(false);
});

const names = fc.uniqueArray(fc.constantFrom("a", "b", "c", "d/e", "d/f", "g"), { maxLength: 6 });
const versions = fc.array(
  names.map((paths) => Object.fromEntries(paths.map((path) => [path, `${path}${Math.random()}`]))),
  { minLength: 1, maxLength: 5 },
);

it("shows exactly the last version, keeps what isn't its own, and leaves only that", async () => {
  await writeFile(join(dir, "mine"), "x");
  await fc.assert(
    fc.asyncProperty(versions, async (each) => {
      const directory = createAtomicDirectory(dir);
      for (const files of each) {
        await directory.write(payload(files));
        const shown = (await readdir(dir)).filter((name) => !name.startsWith("..") && name !== "mine");
        expect(shown.sort()).toEqual([...new Set(Object.keys(files).map((path) => path.split("/")[0]))].sort());
        for (const [path, text] of Object.entries(files)) expect(await readFile(join(dir, path), "utf8")).toBe(text);
      }
      expect((await readdir(dir)).filter((name) => /^\.\.\d/.test(name))).toHaveLength(1);
      await directory.remove();
      expect(await readdir(dir)).toEqual(["mine"]);
    }),
    { numRuns: 40 },
  );
});

it("what a process that died left is known by its marks", async () => {
  await createAtomicDirectory(dir).write(payload({ a: "1", "sub/b": "2" }));
  await writeFile(join(dir, "mine"), "x");
  await symlink("elsewhere", join(dir, "my-link"));
  await removeRemains(dir);
  expect((await readdir(dir)).sort()).toEqual(["mine", "my-link"]);
});
