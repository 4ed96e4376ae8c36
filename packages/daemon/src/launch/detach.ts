/**
 * What sudo runs: starts the helper in a session of its own, so that it outlives sudo and the terminal, hands it the one line from
 * standard input, brings back the one line that it says, and ends. Input that ends before that takes it all back.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { errorToJson } from "@shipside/core";
import { daemonError } from "../errors.ts";

/** What Node itself says of a helper that crashes, and the helper's own log. */
const LOG = "/var/log/shipside-helper.log";

const source = import.meta.url.endsWith(".ts");
const helper = fileURLToPath(new URL(`../helper/main.${source ? "ts" : "js"}`, import.meta.url));
const flags = source ? ["--conditions=@shipside/source"] : [];

const log = openLog();
const child = spawn(process.execPath, [...flags, helper, ...process.argv.slice(2)], {
  detached: true,
  cwd: "/",
  env: {},
  stdio: ["pipe", "pipe", log],
});
if (typeof log === "number") closeSync(log);
child.stdin!.on("error", () => {});

let answered = false;
const answer = (word: string): void => {
  if (answered) return;
  answered = true;
  process.stdout.write(`${word}\n`, () => process.exit(0));
};
const fail = (why: string): void => {
  const error = daemonError("HELPER_FAILED", `the helper did not come up: ${why}`, { hint: `${LOG} may say more (as root)` });
  answer(JSON.stringify({ error: errorToJson(error) }));
};
const takeBack = (): void => void child.kill("SIGTERM");

createInterface({ input: process.stdin })
  .once("line", (line) => child.stdin!.end(`${line}\n`))
  .once("close", takeBack);
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, takeBack);
createInterface({ input: child.stdout! }).once("line", answer);
child.once("error", (error) => fail(error.message));
child.once("close", (code, signal) => fail(`it ended with ${signal ?? `exit code ${code}`}`));
process.stdout.on("error", () => process.exit(1));

function openLog(): number | "ignore" {
  try {
    return openSync(LOG, "a", 0o600);
  } catch {
    // A file system that can't be written: the helper says it in its word.
    return "ignore";
  }
}
