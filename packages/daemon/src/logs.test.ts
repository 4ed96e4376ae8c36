import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { logPath, openLogFile, rawLogDrain, rawLogPath } from "./log-file.ts";
import { parseLine, readLog } from "./logs.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-logs-"));
});
afterEach(() => rm(dir, { recursive: true }));

const line = (n: number, time = new Date().toISOString()): string => JSON.stringify({ time, level: "info", message: `line ${n}` });
const all = async (options: Partial<Parameters<typeof readLog>[0]> = {}): Promise<string[]> => {
  const messages: string[] = [];
  for await (const { message } of readLog({ stateDir: dir, ...options })) messages.push(message);
  return messages;
};
const numbers = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => `line ${from + i}`);

test("the log is bounded, keeps whole lines, and loses only the oldest", async () => {
  const log = openLogFile({ path: logPath(dir), maxBytes: 2_000, keep: 3 });
  for (let n = 0; n < 500; n++) log.write(line(n));
  log.close();
  const names = (await readdir(dir)).sort();
  expect(names).toEqual(["daemon.log", "daemon.log.1", "daemon.log.2", "daemon.log.3"]);
  for (const name of names) {
    expect((await stat(join(dir, name))).size).toBeLessThanOrEqual(2_000);
    expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
    expect(await readFile(join(dir, name), "utf8")).toMatch(/^\{.*\}\n$/s);
  }
  const kept = await all();
  expect(kept.length).toBeGreaterThan(70);
  expect(kept).toEqual(numbers(500 - kept.length, 500));
});

test("a run that starts again goes on in the same file", async () => {
  for (const n of [0, 1]) {
    const log = openLogFile({ path: logPath(dir) });
    log.write(line(n));
    log.close();
  }
  expect(await all()).toEqual(numbers(0, 2));
});

test("followed across rotations: every line once, in order", async () => {
  const log = openLogFile({ path: logPath(dir), maxBytes: 1_000, keep: 3 });
  const stop = new AbortController();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { message } of readLog({ stateDir: dir, follow: true, pollMs: 2, signal: stop.signal })) {
      seen.push(message);
      if (message === "line 399") stop.abort();
    }
  })();
  const patience = setTimeout(() => stop.abort(), 10_000);
  for (let n = 0; n < 400; n++) {
    log.write(line(n));
    if (n % 4 === 0) await delay(2);
    // What was rotated away before it was read is lost, and a busy machine may be late by more than the 48 lines that are kept.
    while (n - seen.length > 24 && !stop.signal.aborted) await delay(2);
  }
  await reading;
  clearTimeout(patience);
  log.close();
  expect(seen).toEqual(numbers(0, 400));
});

test("since a time; what has no time goes with what stands before it", async () => {
  await writeFile(
    logPath(dir),
    [line(0, "2026-01-01T00:00:00.000Z"), "at old", line(1, "2026-01-02T00:00:00.000Z"), "at new", ""].join("\n"),
  );
  expect(await all({ since: new Date("2026-01-01T12:00:00Z") })).toEqual(["line 1", "at new"]);
  expect(await all()).toHaveLength(4);
});

test("no log is no error, and a line that is none of ours is shown as it is", async () => {
  expect(await all({ stateDir: join(dir, "nowhere") })).toEqual([]);
  expect(parseLine("{}")).toEqual({ time: "", level: "info", message: "{}" });
});

test("what came past the log is taken in once, unfinished lines when they are finished", async () => {
  const taken: string[] = [];
  const drain = rawLogDrain(rawLogPath(dir), (text) => taken.push(text));
  drain();
  await writeFile(rawLogPath(dir), "one\ntw");
  drain();
  expect(taken).toEqual(["one"]);
  await appendFile(rawLogPath(dir), "o\n");
  drain();
  expect(taken).toEqual(["one", "two"]);
  expect((await stat(rawLogPath(dir))).size).toBe(0);
  await appendFile(rawLogPath(dir), "three");
  expect(await all()).toEqual(["three"]);
  drain(true);
  expect(taken).toEqual(["one", "two", "three"]);
  await expect(stat(rawLogPath(dir))).rejects.toMatchObject({ code: "ENOENT" });
});

test("a process's log has what it says on standard error, what its children say there, and a crash of the one before", async () => {
  const script = `
    import { spawnSync } from "node:child_process";
    import { writeSync } from "node:fs";
    const { openDaemonLog } = await import(${JSON.stringify(new URL("daemon-log.ts", import.meta.url).href)});
    const log = openDaemonLog(${JSON.stringify(dir)});
    log.logger.warn("told", { port: 80 });
    console.error("said\\ntwice");
    process.emitWarning("warned");
    spawnSync("sh", ["-c", "echo from a child >&2"], { stdio: "inherit" });
    writeSync(2, "raw\\n");
    await new Promise((resolve) => setTimeout(resolve, 50));
    log.close();
  `;
  const { openSync } = await import("node:fs");
  await writeFile(rawLogPath(dir), "FATAL ERROR of the one before\n");
  const raw = openSync(rawLogPath(dir), "a");
  const child = spawn(process.execPath, ["--conditions=@shipside/source", "--input-type=module", "-e", script], {
    stdio: ["ignore", raw, raw],
  });
  expect(await once(child, "exit")).toEqual([0, null]);
  const entries = [];
  for await (const entry of readLog({ stateDir: dir })) entries.push(entry);
  const messages = entries.map(({ message }) => message);
  expect(messages[0]).toBe("FATAL ERROR of the one before");
  expect(messages).toEqual(expect.arrayContaining(["told", "said", "twice", "from a child", "raw"]));
  expect(messages.join()).toMatch(/warned/);
  expect(new Set(messages).size).toBe(messages.length);
  expect(entries.find(({ message }) => message === "told")).toMatchObject({ level: "warn", port: 80, time: expect.any(String) });
  expect(await readdir(dir)).toEqual(["daemon.log"]);
});
