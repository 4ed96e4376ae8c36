import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratchHosts } from "./fixtures/scratch.ts";
import { openHosts } from "./hosts-file.ts";
import { keepOriginal, removeOwners, replaceHosts, viewHosts } from "./original.ts";

const leaf = [{ address: "127.72.0.1", names: ["leaf"] }];
const BYTES = "127.0.0.1 localhost\r\n# a line in latin1: \xe9\nno end";

test("a copy is made of the file as it was, never of one with an owner's lines, and follows the user's own edits", async () => {
  await using scratch = await scratchHosts(BYTES);
  const { path } = scratch;
  const place = join(scratch.dir, "hosts.original");
  const copy = (): Promise<string> => readFile(place, "latin1");
  expect(await keepOriginal(place, { path })).toBe("written");
  expect([await copy(), (await stat(place)).mode & 0o777]).toEqual([await readFile(path, "latin1"), 0o600]);
  const before = await copy();

  await using hosts = await openHosts({ path, owner: "o" });
  await hosts.apply(leaf);
  await writeFile(path, `10.0.0.1 mine\n${await readFile(path, "latin1")}`, "latin1");
  expect(await keepOriginal(place, { path })).toBe("kept");
  expect(await copy()).toBe(before);
  await hosts.restore();
  expect(await keepOriginal(place, { path })).toBe("written");
  expect(await copy()).toBe(`10.0.0.1 mine\n${before}`);
  expect(await keepOriginal(place, { path })).toBe("kept");
});

test("a copy that is missing while an owner has lines is made without them", async () => {
  await using scratch = await scratchHosts(BYTES);
  const { path } = scratch;
  const before = await readFile(path, "latin1");
  await using hosts = await openHosts({ path, owner: "o" });
  await hosts.apply(leaf);
  await keepOriginal(join(scratch.dir, "copy"), { path });
  expect(await readFile(join(scratch.dir, "copy"), "latin1")).toBe(before);
});

test("a place that can't be written is said, and leaves nothing half done", async () => {
  await using scratch = await scratchHosts(BYTES);
  const { path } = scratch;
  await expect(keepOriginal(join(scratch.dir, "no", "copy"), { path })).rejects.toMatchObject({ code: "HOSTS_UNWRITABLE" });
  await mkdir(join(scratch.dir, "folder"));
  await expect(keepOriginal(join(scratch.dir, "folder"), { path })).rejects.toMatchObject({ code: "HOSTS_UNWRITABLE" });
  expect((await readdir(scratch.dir)).sort()).toEqual(["folder", "hosts"]);
});

test("all owners' lines are taken out, or some, and nothing else", async () => {
  await using scratch = await scratchHosts(BYTES);
  const { path } = scratch;
  const before = await readFile(path, "latin1");
  for (const owner of ["a", "b", "c"]) await (await openHosts({ path, owner })).apply(leaf);
  expect(await viewHosts({ path })).toMatchObject({ owners: ["a", "b", "c"], without: before });
  expect(await removeOwners({ path }, (owner) => owner !== "b")).toEqual(["a", "c"]);
  expect((await viewHosts({ path })).owners).toEqual(["b"]);
  expect(await removeOwners({ path })).toEqual(["b"]);
  expect(await readFile(path, "latin1")).toBe(before);
  expect(await removeOwners({ path })).toEqual([]);
});

test("a copy is put back byte for byte", async () => {
  await using scratch = await scratchHosts(BYTES);
  const { path } = scratch;
  const before = await readFile(path, "latin1");
  await writeFile(path, "something else\n");
  await replaceHosts(before, { path });
  expect(await readFile(path, "latin1")).toBe(before);
});
