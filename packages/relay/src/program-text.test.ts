import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseProcessStat } from "@shipside/core";
import { expect, onTestFinished, test } from "vitest";
import { PROGRAM_COMMAND } from "./pod-template.ts";
import { programText } from "./program-text.ts";
import type { RelayConfig } from "./protocol.ts";

test("the program is one file that needs nothing but Node, and fits a ConfigMap with room to spare", async () => {
  const text = await programText();
  expect(Buffer.byteLength(text)).toBeLessThan(400 * 1024);
  const imports = [...text.matchAll(/^import [^"]*"([^"]+)"|\bimport\("([^"]+)"\)/gm)].map(([, a, b]) => (a ?? b)!);
  expect(imports.length).toBeGreaterThan(3);
  expect(imports.filter((name) => !isBuiltin(name))).toEqual([]);
});

test("it is ready soon, needs little memory, and ends when it is asked to", async () => {
  const directory = await mkdtemp(join(tmpdir(), "relay-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const config: RelayConfig = { name: "r", namespace: "n", graceSeconds: 60, accept: [] };
  await writeFile(join(directory, "relay.mjs"), await programText());
  await writeFile(join(directory, "config.json"), JSON.stringify(config));
  await writeFile(join(directory, "secret"), "s");
  // An address of its own: other tests' programs have 127.0.0.1.
  const env = { PATH: process.env["PATH"], POD_IP: `127.9.${process.pid % 250}.7` };
  const began = performance.now();
  const child = spawn(process.execPath, PROGRAM_COMMAND.slice(1), { cwd: directory, env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  onTestFinished(() => void child.kill("SIGKILL"));
  const line = await new Promise<string>((resolve) => createInterface(child.stdout).once("line", resolve));
  const ms = performance.now() - began;
  expect(JSON.parse(line)).toMatchObject({ message: "ready" });
  // Aim: 300 ms, on a machine that has nothing else to do.
  expect(ms).toBeLessThan(2_000);
  if (process.platform === "linux") {
    const rss = Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024;
    expect(rss).toBeLessThan(64);
    // What a busy machine doesn't change: how much of a processor's time the start took, in ticks of 10 ms.
    expect(parseProcessStat(await readFile(`/proc/${child.pid}/stat`, "latin1"))!.cpuTicks).toBeLessThan(30);
  }
  child.kill("SIGTERM");
  expect(await ended).toBe(0);
});
