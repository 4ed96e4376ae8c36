import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { writeAtomically } from "./atomic-directory.ts";
import type { Payload } from "./payload.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shipside-volume-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const files = (entries: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(entries).map(([path, text]) => [path, { data: Buffer.from(text), mode }]));
const visible = (): string[] =>
  readdirSync(directory)
    .filter((name) => !name.startsWith(".."))
    .sort();

it("shows files through ..data, deep ones too, with their modes", () => {
  expect(writeAtomically(directory, files({ a: "1", "deep/er/b": "2" }, 0o400))).toBe(true);
  expect(visible()).toEqual(["a", "deep"]);
  expect(readlinkSync(join(directory, "a"))).toBe("..data/a");
  expect(readFileSync(join(directory, "deep/er/b"), "utf8")).toBe("2");
  expect(statSync(join(directory, "a")).mode & 0o777).toBe(0o400);
});

it("swaps everything at once and leaves nothing of the old", () => {
  writeAtomically(directory, files({ a: "1", b: "1" }));
  const before = readlinkSync(join(directory, "..data"));
  expect(writeAtomically(directory, files({ b: "2", c: "2" }))).toBe(true);
  expect(visible()).toEqual(["b", "c"]);
  expect(readFileSync(join(directory, "b"), "utf8")).toBe("2");
  expect(readdirSync(directory).filter((name) => name.startsWith(".."))).toHaveLength(2);
  expect(readlinkSync(join(directory, "..data"))).not.toBe(before);
});

it("touches nothing where nothing changed, and sees a change of mode alone", () => {
  writeAtomically(directory, files({ a: "1" }));
  const before = readlinkSync(join(directory, "..data"));
  expect(writeAtomically(directory, files({ a: "1" }))).toBe(false);
  expect(readlinkSync(join(directory, "..data"))).toBe(before);
  expect(writeAtomically(directory, files({ a: "1" }, 0o600))).toBe(true);
});
