import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EnvEntry } from "@shipside/core";
import { describe, expect, it } from "vitest";
import { writeEnvFile } from "./env-file.ts";

const entries = (value: string): EnvEntry[] => [{ name: "A", value, origin: { from: "literal", container: "c" } }];

async function scratch() {
  const dir = await mkdtemp(join(tmpdir(), "shipside-env-"));
  return {
    path: join(dir, "core.env"),
    dir,
    files: async () => (await readdir(dir)).sort(),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true }),
  };
}

describe("writeEnvFile", () => {
  it("writes for this user only, rewrites, and is gone after close", async () => {
    await using place = await scratch();
    {
      await using file = await writeEnvFile(place.path, entries("1"));
      expect(await readFile(place.path, "utf8")).toBe("A=1\n");
      expect((await stat(place.path)).mode & 0o777).toBe(0o600);
      const first = file.digest;
      await Promise.all([file.write(entries("2")), file.write(entries("3"))]);
      expect(await readFile(place.path, "utf8")).toBe("A=3\n");
      expect(file.digest).not.toBe(first);
      expect(await place.files()).toEqual(["core.env"]);
    }
    expect(await place.files()).toEqual([]);
  });

  it("takes the format by name, or from the file's name", async () => {
    await using place = await scratch();
    await using file = await writeEnvFile(join(place.dir, "x.json"), entries("1"));
    expect(JSON.parse(await readFile(file.path, "utf8"))).toEqual({ A: "1" });
    await using other = await writeEnvFile(place.path, entries("1"), { format: "sh" });
    expect(await readFile(other.path, "utf8")).toBe("export A='1'\n");
    await expect(writeEnvFile(place.path, [], { format: "none" })).rejects.toMatchObject({ code: "ENV_FORMAT_UNKNOWN" });
  });

  it("keeps aside what was there before, and a person's edit, at writing and at closing", async () => {
    await using place = await scratch();
    await writeFile(place.path, "MINE=1\n");
    const file = await writeEnvFile(place.path, entries("1"));
    expect(file.kept).toEqual([`${place.path}.kept`]);
    await writeFile(place.path, "EDIT=1\n");
    await file.write(entries("2"));
    await writeFile(place.path, "EDIT=2\n");
    await file.close();
    await file.close();
    expect(await place.files()).toEqual(["core.env.kept", "core.env.kept-2", "core.env.kept-3"]);
    const kept = await Promise.all(file.kept.map((path) => readFile(path, "utf8")));
    expect(kept).toEqual(["MINE=1\n", "EDIT=1\n", "EDIT=2\n"]);
  });

  it("replaces what an earlier process of ours left, told its digest", async () => {
    await using place = await scratch();
    const crashed = await writeEnvFile(place.path, entries("1"));
    const file = await writeEnvFile(place.path, entries("2"), { ours: crashed.digest });
    expect(file.kept).toEqual([]);
    await file.close();
    expect(await place.files()).toEqual([]);
  });

  it("leaves the file as it is when it can't be rendered or written", async () => {
    await using place = await scratch();
    const file = await writeEnvFile(place.path, entries("1"), { format: "docker" });
    await expect(file.write(entries("a\nb"))).rejects.toMatchObject({ code: "ENV_UNREPRESENTABLE", details: { name: "A" } });
    expect(await readFile(place.path, "utf8")).toBe("A=1\n");
    await file.close();
    await expect(file.write(entries("2"))).rejects.toMatchObject({ code: "ENV_FILE_UNWRITABLE" });
    await expect(writeEnvFile(join(place.dir, "none", "x.env"), entries("1"))).rejects.toMatchObject({
      code: "ENV_FILE_UNWRITABLE",
    });
    await using partly = await writeEnvFile(place.path, [...entries("a\nb"), { ...entries("x")[0]!, name: "B" }], {
      format: "docker",
      skipUnrepresentable: true,
    });
    expect(partly.skipped).toEqual(["A"]);
    expect(await readFile(place.path, "utf8")).toBe("B=x\n");
  });

  it("writes through a symbolic link", async () => {
    await using place = await scratch();
    await symlink("real", place.path);
    await writeFile(join(place.dir, "real"), "");
    const file = await writeEnvFile(place.path, entries("1"));
    expect((await lstat(place.path)).isSymbolicLink()).toBe(true);
    expect(await readFile(join(place.dir, "real"), "utf8")).toBe("A=1\n");
    await file.close();
  });
});
