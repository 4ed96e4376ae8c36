import { writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { assertRunnable, runCommand } from "./run.ts";

const { env } = process;

test.each([
  ["exit 0", 0],
  ["exit 7", 7],
  ["kill -TERM $$", 143],
])("%s is %i", async (script, code) => {
  const { exited } = await runCommand({ command: ["sh", "-c", script], env });
  expect(await exited).toBe(code);
});

test("what doesn't exist, and what may not be run, are told apart", async () => {
  await expect(runCommand({ command: ["no-such-program-here"], env })).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND" });
  const file = join(tmpdir(), `shipside-run-test-${process.pid}`);
  await writeFile(file, "", { mode: 0o644 });
  await expect(runCommand({ command: [file], env })).rejects.toMatchObject({ code: "COMMAND_FAILED" });
  await (await import("node:fs/promises")).rm(file);
});

test("a command that will be wrapped is judged the same", async () => {
  await expect(assertRunnable("no-such-program-here", process.env["PATH"])).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND" });
  const file = join(tmpdir(), `shipside-runnable-test-${process.pid}`);
  await writeFile(file, "", { mode: 0o644 });
  await expect(assertRunnable(file)).rejects.toMatchObject({ code: "COMMAND_FAILED" });
  await (await import("node:fs/promises")).rm(file);
  await expect(assertRunnable("/etc")).rejects.toMatchObject({ code: "COMMAND_NOT_FOUND" });
  await assertRunnable("sh", process.env["PATH"]);
  await assertRunnable(process.execPath);
});

test("an abort ends the child, also one that ignores SIGTERM", async () => {
  const abort = new AbortController();
  const { exited } = await runCommand({
    command: [process.execPath, "-e", 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)'],
    env,
    signal: abort.signal,
    graceMs: 300,
  });
  setTimeout(() => abort.abort(), 200);
  expect(await exited).toBeGreaterThanOrEqual(137);
});
