import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { type TarEntry, tarReader } from "./tar-reader.ts";

/** What is in an archive that comes in pieces of these lengths, again and again. */
function readAll(archive: Buffer, lengths: readonly number[] = [archive.length || 1]) {
  const found: Array<TarEntry & { data: Buffer; ended: boolean }> = [];
  const reader = tarReader({
    entry: (entry) => void found.push({ ...entry, data: Buffer.alloc(0), ended: false }),
    data(bytes) {
      const last = found.at(-1)!;
      expect(last.ended).toBe(false);
      last.data = Buffer.concat([last.data, bytes]);
    },
    end() {
      found.at(-1)!.ended = true;
    },
  });
  for (let at = 0, piece = 0; at < archive.length; piece++) {
    const length = lengths[piece % lengths.length]!;
    reader.push(archive.subarray(at, at + length));
    at += length;
  }
  reader.finish();
  expect(found.every(({ ended, data, size }) => ended && data.length === size)).toBe(true);
  return found;
}

const script = `
mkdir -p "$1/sub/${"long-name/".repeat(15)}" && cd "$1" && umask 022
printf hello > a.txt; ln -s a.txt link; ln a.txt hard; printf é > "ünï 雪"
printf far > "sub/${"long-name/".repeat(15)}x"; ln -s "${"t/".repeat(80)}" farlink; mkfifo pipe
`;

it.each(["gnu", "posix", "oldgnu"])("reads what tar writes in the %s format", async (format) => {
  const dir = await mkdtemp(join(tmpdir(), "tar-"));
  try {
    execFileSync("sh", ["-ec", script, "sh", dir]);
    const archive = execFileSync("tar", ["cf", "-", `--format=${format}`, "-C", dir, "."]);
    const whole = readAll(archive);
    const entries = new Map(whole.map((entry) => [entry.name, entry]));
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1, maxLength: 20 }), (lengths) => {
        expect(readAll(archive, lengths)).toEqual(whole);
      }),
    );
    const far = `./sub/${"long-name/".repeat(15)}x`;
    expect(entries.get(far)?.data.toString()).toBe("far");
    expect(entries.get("./ünï 雪")?.data.toString()).toBe("é");
    expect(entries.get("./farlink")).toMatchObject({ type: "symlink", target: await readlink(join(dir, "farlink")) });
    expect(entries.get("./pipe")?.type).toBe("other");
    expect(entries.get("./sub/")?.type).toBe("directory");
    const pair = [entries.get("./a.txt")!, entries.get("./hard")!];
    expect(pair.map(({ type }) => type).sort()).toEqual(["file", "hardlink"]);
    const { mtimeMs } = await stat(join(dir, "a.txt"));
    expect(Math.abs(pair.find(({ type }) => type === "file")!.mtime - mtimeMs / 1_000)).toBeLessThan(1.1);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

it("takes nothing for whole that was cut off, or changed in a header", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tar-"));
  try {
    await writeFile(join(dir, "one"), "x".repeat(700));
    const archive = execFileSync("tar", ["cf", join(dir, "out.tar"), "-C", dir, "one"]) && (await readFile(join(dir, "out.tar")));
    const used = 512 + 1_024;
    expect(readAll(archive)).toHaveLength(1);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: used - 1 }), (end) => {
        expect(() => readAll(archive.subarray(0, end))).toThrow(expect.objectContaining({ code: "VOLUMES_ARCHIVE_INVALID" }));
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 511 }), fc.integer({ min: 1, max: 255 }), (at, by) => {
        // The last byte of the checksum's field doesn't count.
        fc.pre(at < 148 || at > 155);
        const changed = Buffer.from(archive);
        changed[at] = (changed[at]! + by) & 0xff;
        expect(() => readAll(changed)).toThrow(expect.objectContaining({ code: "VOLUMES_ARCHIVE_INVALID" }));
      }),
    );
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
