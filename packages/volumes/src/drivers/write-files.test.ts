import { mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FileWriting, writeFiles } from "./write-files.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "write-files-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** Of those that are written here. */
async function openFiles(): Promise<string[]> {
  const links = (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ""));
  return (await Promise.all(links)).filter((path) => path.startsWith(`${root}/`));
}

function tell(writing: FileWriting, path: string, bytes: Buffer, facts = { mode: 0o444, mtime: 1_000_000_000 }): void {
  const file = writing.begin(path, bytes.length, facts);
  for (let at = 0; at < bytes.length; at += 50_000) file.write(bytes.subarray(at, at + 50_000));
  file.end();
}

describe.each([
  { how: "by threads", patienceMs: 0 },
  { how: "at once", patienceMs: Number.POSITIVE_INFINITY },
])("$how", ({ patienceMs }) => {
  it("many files in many directories, each as it was told, whatever the umask takes off", async () => {
    const files = new Map<string, Buffer>();
    for (let at = 0; at < 600; at++) {
      const path = join(root, `d${at % 20}`, `f${at}`);
      files.set(path, Buffer.alloc(at % 97 === 0 ? 700_000 + at : at * 7, `${at},`));
    }
    {
      await using writing = writeFiles({ patienceMs });
      for (const [path, bytes] of files) {
        await mkdir(dirname(path), { recursive: true });
        tell(writing, path, bytes, { mode: bytes.length % 2 ? 0o446 : 0o640, mtime: 1_000_000_000 + bytes.length });
        await writing.busy;
      }
      await writing.settled();
      expect(await openFiles()).toEqual([]);
    }
    for (const [path, bytes] of files) {
      expect((await readFile(path)).equals(bytes), path).toBe(true);
      const { mode, mtimeMs } = await stat(path);
      expect([mode & 0o777, mtimeMs / 1000]).toEqual([bytes.length % 2 ? 0o446 : 0o640, 1_000_000_000 + bytes.length]);
    }
  });

  it("a small file after a large one that is still being written", async () => {
    await using writing = writeFiles({ patienceMs });
    const [large, small] = [Buffer.alloc(12_000_000, "large"), Buffer.from("small")];
    tell(writing, join(root, "large"), large);
    for (let at = 0; at < 40; at++) tell(writing, join(root, String(at)), small);
    await writing.settled();
    expect((await readFile(join(root, "large"))).equals(large)).toBe(true);
    for (let at = 0; at < 40; at++) expect(await readFile(join(root, String(at)), "utf8")).toBe("small");
  });

  it("the first failure is told, nothing more is begun, and all is closed", async () => {
    await writeFile(join(root, "there"), "");
    {
      await using writing = writeFiles({ patienceMs });
      tell(writing, join(root, "there"), Buffer.from("again"));
      await expect(writing.settled()).rejects.toMatchObject({ code: "EEXIST" });
      tell(writing, join(root, "later"), Buffer.from("later"));
      await expect(writing.busy).rejects.toMatchObject({ code: "EEXIST" });
      await expect(writing.settled()).rejects.toMatchObject({ code: "EEXIST" });
    }
    expect(await readdir(root)).toEqual(["there"]);
    expect(await readFile(join(root, "there"), "utf8")).toBe("");
    expect(await openFiles()).toEqual([]);
  });
});

it("no more is taken than may wait, and it goes on", async () => {
  await using writing = writeFiles({ patienceMs: 0 });
  let waited = 0;
  for (let at = 0; at < 400; at++) {
    tell(writing, join(root, String(at)), Buffer.alloc(100_000, at));
    // Nothing is done before it is waited for: what a thread has ended is told later.
    if (writing.busy) {
      waited++;
      await writing.busy;
    }
  }
  await writing.settled();
  expect(waited).toBeGreaterThanOrEqual(3);
  expect(await readdir(root)).toHaveLength(400);
});

it("what is closed in the middle leaves nothing open, and writes no more", async () => {
  {
    await using writing = writeFiles({ patienceMs: 0 });
    for (let at = 0; at < 500; at++) tell(writing, join(root, `s${at}`), Buffer.from("small"));
    const large = writing.begin(join(root, "large"), 5_000_000, { mode: 0o444, mtime: Number.NaN });
    large.write(Buffer.alloc(3_000_000));
    large.abandon();
  }
  expect(await openFiles()).toEqual([]);
  const left = (await readdir(root)).length;
  expect(left).toBeLessThan(500);
});
