import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openLogFile } from "./agent/log-file.ts";
import { text } from "./fixtures/bed.ts";
import { readLog } from "./log-reader.ts";

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "shipside-log-"));
  path = join(directory, "0.log");
});
afterEach(() => rmSync(directory, { recursive: true }));

const options = { follow: false, previous: false, timestamps: false };

it("gives back what was written, however it came in", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ unit: fc.constantFrom("a", "\n", "é", " F "), maxLength: 40 })), async (chunks) => {
      const log = openLogFile(path, 1 << 20, () => {});
      for (const chunk of chunks) log.write("stdout", Buffer.from(chunk));
      log.close();
      expect(await text(readLog({ path }, options))).toBe(chunks.join(""));
    }),
    { numRuns: 50 },
  );
});

it("breaks long lines into parts of which a reader sees nothing", async () => {
  const log = openLogFile(path, 1 << 20, () => {});
  const line = "x".repeat(100_000);
  log.write("stderr", Buffer.from(`${line}\nend\n`));
  log.close();
  expect(readFileSync(path, "utf8").split("\n").length).toBeGreaterThan(6);
  expect(await text(readLog({ path }, options))).toBe(`${line}\nend\n`);
  expect(await text(readLog({ path }, { ...options, tailLines: 2 }))).toBe(`${line}\nend\n`);
  expect((await text(readLog({ path }, { ...options, timestamps: true }))).match(/Z /g)).toHaveLength(2);
});

it("keeps no more than twice its bound, the newest", async () => {
  const log = openLogFile(path, 10_000, () => {});
  for (let i = 0; i < 2_000; i++) log.write("stdout", Buffer.from(`line ${i}\n`));
  log.close();
  expect(statSync(path).size + statSync(`${path}.1`).size).toBeLessThanOrEqual(20_000);
  expect((await text(readLog({ path }, options))).trimEnd().split("\n").at(-1)).toBe("line 1999");
});

it("follows across a rotation until the container ends", async () => {
  let news = (): void => {};
  const ended = Promise.withResolvers<void>();
  const log = openLogFile(path, 2_000, () => news());
  const stream = readLog(
    {
      path,
      ended: ended.promise,
      watch(listener) {
        news = listener;
        return () => {
          news = () => {};
        };
      },
    },
    { ...options, follow: true },
  );
  const whole = text(stream);
  for (let i = 0; i < 500; i++) log.write("stdout", Buffer.from(`line ${i}\n`));
  log.close();
  ended.resolve();
  expect((await whole).trimEnd().split("\n")).toEqual(Array.from({ length: 500 }, (_, i) => `line ${i}`));
});

it("leaves out what is older than asked for", async () => {
  const log = openLogFile(path, 1 << 20, () => {});
  log.write("stdout", Buffer.from("old\n"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const since = new Date();
  log.write("stdout", Buffer.from("new\n"));
  log.close();
  expect(await text(readLog({ path }, { ...options, since }))).toBe("new\n");
});
