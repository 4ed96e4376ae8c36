import { setTimeout as delay } from "node:timers/promises";
import { abortError, errorToJson } from "@shipside/core";
import { version } from "../version.ts";
import { type Check, type Finding, LEVELS, type Level, problem } from "./check.ts";
import { CHECKS } from "./checks.ts";
import { createContext, type DoctorContext, type DoctorOptions } from "./context.ts";

export interface DoctorLine extends Finding {
  /** The check's id. */
  check: string;
  title: string;
}

/** What `doctor --json` prints. `doctor` is the number of this form: raised when a field changes its meaning, not when one is added. */
export interface DoctorReport {
  doctor: 1;
  shipside: string;
  /** ISO 8601. */
  at: string;
  worst: Level;
  /** In the checks' order. */
  lines: DoctorLine[];
}

const LIMIT_MS = 3_000;

/** Asks all checks side by side. Never rejects but with the signal's reason. */
export async function runDoctor(options: DoctorOptions = {}, checks: readonly Check[] = CHECKS): Promise<DoctorReport> {
  const { limitMs = LIMIT_MS, signal } = options;
  const at = new Date().toISOString();
  await using context = createContext(options);
  const found = await Promise.all(checks.map((check) => runCheck(check, context, limitMs, signal)));
  if (signal?.aborted) throw abortError(signal);
  const lines = found.flat();
  const worst = LEVELS[Math.max(0, ...lines.map(({ level }) => LEVELS.indexOf(level)))]!;
  return { doctor: 1, shipside: version, at, worst, lines };
}

async function runCheck(
  check: Check,
  context: DoctorContext,
  limitMs: number,
  outer: AbortSignal | undefined,
): Promise<DoctorLine[]> {
  const { id, title } = check;
  const over = new AbortController();
  const signal = outer ? AbortSignal.any([outer, over.signal]) : over.signal;
  const late = delay(limitMs, undefined, { signal }).then(
    () => [
      problem(`no answer within ${limitMs / 1000} s`, "something it asks hangs: the network, a credential plugin, a file system"),
    ],
    (): Finding[] => [],
  );
  const findings = await Promise.race([
    // Also what throws before it returns a promise.
    Promise.resolve()
      .then(() => check.run(context, signal))
      .catch((error: unknown) => [failed(error)]),
    late,
  ]);
  over.abort();
  return findings.map((finding) => ({ check: id, title, ...finding }));
}

function failed(error: unknown): Finding {
  const { code, message, hint } = errorToJson(error);
  return problem(`could not be looked at: ${message}`, hint ?? "please report this with `shipside doctor --bundle`", { code });
}
