import type { ChildProcess } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { errorToJson } from "@shipside/core";
import { type Aliases, loopbackAliases } from "./aliases.ts";
import { type Audit, openAudit } from "./audit.ts";
import { launch } from "./launch.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { LIMITS, type StartWord } from "./requests.ts";
import { serveRequests } from "./serve.ts";
import { openMachine, undoAll } from "./undo.ts";

/** Absolute paths. */
export interface HelperPlaces {
  hosts: string;
  /** The folder of the ledger. */
  ledger: string;
  log: string;
}

export interface HelperOptions {
  uid: number;
  gid: number;
  /** Started as root with an empty environment; it becomes the user. */
  launcher: URL;
  /** The first message to it, whatever it is. */
  start: unknown;
  places: HelperPlaces;
  keepStderr?: boolean;
  aliases?: Aliases;
  /** The one line for whoever started the helper. */
  report(word: ReportLine): void;
  /** The helper is asked to end: the daemon is given time to close its sessions. */
  stop: AbortSignal;
  /** What comes over the channel is nothing that our daemon sends: the helper ends at once. */
  broken: AbortSignal;
  /** How long to wait for the daemon's first word, and for its end, in ms. */
  startTimeoutMs?: number;
  endTimeoutMs?: number;
}

export type ReportLine = { ready: true; helper: number; daemon: number; undone: string[] } | Extract<StartWord, { error: unknown }>;

/**
 * The helper's whole life: undoes what an earlier one left, starts the daemon, serves it, undoes everything when it ends. Resolves to the
 * exit code; never rejects.
 */
export async function runHelper(options: HelperOptions): Promise<number> {
  const { uid, places, report } = options;
  const audit = openAudit({ path: places.log, base: { pid: process.pid, uid } });
  try {
    await using ledger = await openLedger(places.ledger, uid);
    return await serveOne(options, audit, ledger);
  } catch (error) {
    const { code, message, hint } = errorToJson(error);
    audit.write("failed", { code, error: message });
    report({ error: { code, message, ...(hint !== undefined && { hint }) } });
    return 1;
  } finally {
    audit.close();
  }
}

async function serveOne(options: HelperOptions, audit: Audit, ledger: Ledger): Promise<number> {
  const { uid, gid, launcher, places, stop, broken, report, keepStderr = false } = options;
  const { startTimeoutMs = 30_000, endTimeoutMs = 15_000, aliases = loopbackAliases() } = options;
  audit.write("start", { gid, title: process.title });
  const machine = openMachine({ ledger, aliases, audit, uid, hostsPath: places.hosts });
  const undone = await undoEarlier();

  let reported = false;
  const tell = (line: ReportLine): void => {
    if (reported) return;
    reported = true;
    report(line);
  };
  /** Why it ends; the first reason counts. */
  const { promise: over, resolve: end } = Promise.withResolvers<{ why: string; code: number }>();
  const child = launch({ uid, gid, launcher, keepStderr });
  const exited = childEnd(child);
  const requests = serveRequests({
    machine,
    send(answer, socket, sent) {
      if (!child.connected) return sent();
      child.send(answer, socket, () => sent());
    },
    onWord(word) {
      if ("error" in word) {
        tell(word);
        end({ why: `the daemon did not come up: ${word.error.code}`, code: 1 });
      } else {
        audit.write("ready", { daemon: child.pid });
        tell({ ready: true, helper: process.pid, daemon: child.pid ?? 0, undone });
      }
    },
    onBye: () => end({ why: "the daemon said goodbye", code: 0 }),
    onBroken: (why) => end({ why, code: 1 }),
  });
  child.on("error", (error) => end({ why: `the channel failed: ${error.message}`, code: 1 }));
  child.on("message", requests.receive);
  // Of a process that ended, how it ended is known a moment later.
  child.on("disconnect", () => setTimeout(end, 100, { why: "the daemon let go of the channel", code: 1 }));
  // Not said goodbye: a service manager may start both again.
  void exited.then((how) => end({ why: `the daemon ended with ${how}`, code: 1 }));
  child.send(options.start as object, () => {});

  const startTimer = setTimeout(() => {
    if (!reported) end({ why: `no word from the daemon within ${startTimeoutMs} ms`, code: 1 });
  }, startTimeoutMs);
  const memoryTimer = setInterval(() => {
    if (process.memoryUsage.rss() > LIMITS.memory) end({ why: "what the daemon sends takes too much memory", code: 1 });
  }, 1_000);
  memoryTimer.unref();
  onAbort(stop, () => end({ why: `it was asked to end: ${String(stop.reason)}`, code: 0 }));
  onAbort(broken, () => end({ why: `the channel is broken: ${String(broken.reason)}`, code: 1 }));

  const { why, code } = await over;
  clearTimeout(startTimer);
  clearInterval(memoryTimer);
  audit.write("ending", { why });
  // One that hasn't come up by now shall not do so without us.
  if (!reported) child.kill("SIGTERM");
  // Asked from outside, the daemon closes its sessions first, with our help; else it has ended, or isn't to be helped any more.
  if (stop.aborted && !broken.aborted && child.connected) {
    child.kill("SIGTERM");
    await Promise.race([exited, delay(endTimeoutMs, undefined, { ref: false })]);
  }
  await requests.stop();
  const { failed } = await undoAll(machine);
  if (child.connected) child.disconnect();
  tell({ error: { code: "HELPER_FAILED", message: `the daemon did not come up: ${why}`, hint: `root's log is ${places.log}` } });
  audit.write("end", { undone: failed.length === 0 });
  return failed.length === 0 ? code : 1;

  /** Before anything is begun. What can't be undone now stays in the ledger, and is said. */
  async function undoEarlier(): Promise<string[]> {
    const { damaged } = ledger.found;
    if (damaged) audit.write("ledger-damaged", { dir: places.ledger });
    const { done, failed } = await undoAll(machine);
    return [
      ...(damaged ? ["the record of an earlier helper was damaged; the hosts file was looked through instead"] : []),
      ...done.map((what) => `an earlier helper had left ${what}`),
      ...failed.map((error) => `could not undo what an earlier helper left: ${error.message}`),
    ];
  }
}

function onAbort(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) run();
  else signal.addEventListener("abort", run, { once: true });
}

/** How it ended; where it could not even be started, why. */
function childEnd(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? `exit code ${code}`));
    child.once("error", (error) => {
      if (child.pid === undefined) resolve(error.message);
    });
  });
}
