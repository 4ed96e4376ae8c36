import { execFile } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it, vi } from "vitest";
import { readByLoop, readByThreads } from "./device-readers.ts";

const run = promisify(execFile);

describe.each([
  ["the event loop", readByLoop],
  ["threads", readByThreads],
] as const)("a device that is read by %s", (_, readBy) => {
  it("brings what comes, each where it was said, until there is no more", async () => {
    const directory = mkdtempSync(join(tmpdir(), "device-readers-"));
    const path = join(directory, "pipe");
    await run("mkfifo", [path]);
    // Both ends at first: a pipe without a writer is at its end.
    const both = openSync(path, "r+");
    const [reading, writing] = [openSync(path, "r"), openSync(path, "w")];
    closeSync(both);
    try {
      const found: Array<{ buffer: Buffer; text: string }> = [];
      const room = (): Buffer => Buffer.alloc(100);
      const over = readBy(reading, room, (buffer, length) => {
        found.push({ buffer, text: buffer.toString("latin1", 0, length) });
        // What begins with `k` is kept.
        return buffer[0] === 0x6b ? room() : buffer;
      });
      expect(over).toBeDefined();
      const texts = ["one", "keep", "three", "kept", "five"];
      for (const [index, text] of texts.entries()) {
        writeSync(writing, text);
        await vi.waitFor(() => expect(found).toHaveLength(index + 1), { timeout: 10_000, interval: 2 });
      }
      closeSync(writing);
      await over;
      expect(found.map(({ text }) => text)).toEqual(texts);
      for (const { buffer, text } of found) if (text.startsWith("k")) expect(buffer.toString("latin1", 0, 4)).toBe(text);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
