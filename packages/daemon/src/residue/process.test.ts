import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { identify, isRunning } from "@shipside/core";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openJournal } from "../journal.ts";
import { recover, residueLeft } from "../recover.ts";
import { makeProcess } from "./process.ts";

let dir: string;
const started: ChildProcess[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "shipside-process-"));
});
afterEach(async () => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
  await rm(dir, { recursive: true });
});

const start =
  (script: string) =>
  async (env: Readonly<Record<string, string>>): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ["-e", script], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "ignore"] });
    started.push(child);
    if (script.includes("stdout")) await once(child.stdout!, "data");
    return child;
  };
const SLEEP = "setTimeout(() => {}, 60_000)";

test("what a killed process left running is ended, and no other process of its pid", async () => {
  const journal = openJournal(dir);
  const { child } = await makeProcess(journal, "sleeper", start(SLEEP));
  const other = await start(SLEEP)({});
  const { data } = journal.outstanding[0]!;
  expect(data).toMatchObject({ program: "sleeper", process: await identify(child.pid!) });
  await journal.close();
  const ended = once(child, "exit");
  expect((await recover({ stateDir: dir })).undone.map(({ what }) => what)).toEqual([`process sleeper (pid ${child.pid})`]);
  expect(await ended).toEqual([null, "SIGTERM"]);
  // Its pid in other hands: another start time.
  const again = openJournal(dir);
  const [boot, namespace, , began] = (await identify(other.pid!)).split(".");
  await again.record({
    kind: "process",
    data: { program: "x", mark: "m", process: `${boot}.${namespace}.${other.pid}.${Number(began) - 1}` },
  });
  await again.close();
  await recover({ stateDir: dir });
  expect(await isRunning(await identify(other.pid!))).toBe(true);
});

test("one that doesn't hear SIGTERM is killed", async () => {
  await using journal = openJournal(dir);
  const deaf = await makeProcess(journal, "deaf", start(`process.on("SIGTERM", () => {}); process.stdout.write("x"); ${SLEEP}`));
  const ended = once(deaf.child, "exit");
  await deaf.end();
  expect(await ended).toEqual([null, "SIGKILL"]);
  expect(journal.outstanding).toEqual([]);
});

test.runIf(process.platform === "linux")("killed before the pid was noted down: it is found by its mark", async () => {
  let steps = 0;
  const stopped = new Promise<void>(() => {});
  const journal = openJournal(dir, {
    // The record that has the pid never gets to the disk.
    onStep: (moment) => (moment === "before" && ++steps === 2 ? stopped : undefined),
  });
  const made = makeProcess(journal, "marked", start(SLEEP));
  made.catch(() => {});
  while (started.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  const child = started[0]!;
  const text = await readFile(journal.pathOf(), "utf8");
  // As another process finds it.
  const later = openJournal(dir);
  const { data } = JSON.parse(text.trim().split("\n").at(-1)!) as { data: Record<string, unknown> };
  expect(data["process"]).toBeUndefined();
  await later.record({ kind: "process", data });
  await later.close();
  expect(await residueLeft(dir)).toContainEqual({ kind: "process", what: "process marked", alive: false });
  const ended = once(child, "exit");
  await recover({ stateDir: dir });
  expect(await ended).toEqual([null, "SIGTERM"]);
});

test("a start that fails leaves no record", async () => {
  await using journal = openJournal(dir);
  await expect(makeProcess(journal, "x", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(journal.outstanding).toEqual([]);
});
