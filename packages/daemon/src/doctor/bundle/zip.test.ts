import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { zip } from "./zip.ts";

const run = promisify(execFile);

/** A program that reads archives and isn't ours: python's is on any machine that has Node's build tools, bsdtar on macOS and Windows. */
async function unpack(archive: string, into: string): Promise<void> {
  const attempts: Array<[string, ...string[]]> = [
    ["python3", "-m", "zipfile", "-e", archive, into],
    ["unzip", "-q", archive, "-d", into],
    ["tar", "-xf", archive, "-C", into],
  ];
  const failures: unknown[] = [];
  for (const [command, ...args] of attempts) {
    try {
      await run(command, args);
      return;
    } catch (error) {
      failures.push(error);
    }
  }
  throw new AggregateError(failures, "nothing could unpack it");
}

test("another program unpacks it, byte for byte", async () => {
  const dir = await mkdtemp(join(tmpdir(), "shipside-zip-"));
  try {
    const contents = fc.array(fc.uint8Array({ maxLength: 5_000 }), { minLength: 1, maxLength: 5 });
    for (const [i, files] of fc.sample(contents, { numRuns: 6, seed: 7 }).entries()) {
      const entries = files.map((bytes, n) => ({ name: n % 2 === 0 ? `f${n}` : `ünder/f${n}.txt`, data: Buffer.from(bytes) }));
      const [archive, out] = [join(dir, `${i}.zip`), join(dir, String(i))];
      await writeFile(archive, zip(entries, new Date("2026-11-22T21:30:42")));
      await unpack(archive, out);
      for (const { name, data } of entries) expect((await readFile(join(out, name))).equals(data), name).toBe(true);
      expect((await readdir(out, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())).toHaveLength(
        entries.length,
      );
    }
    expect((await stat(join(dir, "0.zip"))).size).toBeGreaterThan(22);
  } finally {
    await rm(dir, { recursive: true });
  }
});

test("an archive of nothing is one", () => {
  expect(zip([])).toHaveLength(22);
});
