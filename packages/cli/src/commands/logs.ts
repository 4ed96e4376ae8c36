import { type LogEntry, readLog, stateDir } from "@shipside/daemon/client";
import { type CommandModule, flag, text } from "../command.ts";
import { cliError } from "../errors.ts";
import { EXIT } from "../exit-codes.ts";
import { plainText } from "../plain-text.ts";
import type { Paint } from "../terminal.ts";

/** The daemon's log, from the files: also when it has crashed. With `-f --json`, a document a line. */
export const run: CommandModule["run"] = async (invocation, terminal, interrupt) => {
  const follow = flag(invocation, "follow");
  const given = text(invocation, "since");
  const since = given === undefined ? undefined : sinceOf(given, new Date());
  const entries: LogEntry[] = [];
  let told = 0;
  for await (const entry of readLog({ stateDir: stateDir(), follow, ...(since && { since }), signal: interrupt.signal })) {
    told++;
    const line = terminal.json ? JSON.stringify(entry) : logLine(entry, terminal.out);
    if (!terminal.json || follow) process.stdout.write(`${process.stdout.isTTY ? plainText(line) : line}\n`);
    else entries.push(entry);
  }
  if (!follow) terminal.result(entries, "");
  if (told === 0 && !follow) terminal.say(`no entry${since ? ` since ${since.toISOString()}` : ": no daemon has run yet"}`);
  // Whoever follows ends it by a signal: that is its good end.
  return EXIT.ok;
};

const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `10m` ago, or a point in time. Throws `USAGE`. */
export function sinceOf(given: string, now: Date): Date {
  const ago = /^(\d+(?:\.\d+)?)([smhd])$/.exec(given.trim());
  if (ago) return new Date(now.getTime() - Number(ago[1]) * UNIT_MS[ago[2] as keyof typeof UNIT_MS]);
  const time = new Date(given);
  // Date reads much into little: "10" is October.
  if (/^\d{4}-\d\d/.test(given) && !Number.isNaN(time.getTime())) return time;
  throw cliError("USAGE", `--since ${JSON.stringify(given)} is no time`, { hint: "such as 30s, 10m, 2h, 1d, or 2026-01-31T12:00" });
}

const STYLE = { error: "red", warn: "yellow", debug: "dim" } as const;

/** One entry for a person: local time, level, message, fields. */
export function logLine({ time, level, message, ...fields }: LogEntry, paint: Paint): string {
  const at = time === "" ? "" : new Date(time).toLocaleString("sv-SE");
  const style = STYLE[level as keyof typeof STYLE];
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const words = [paint("dim", at), style ? paint(style, level.padEnd(5)) : level.padEnd(5), message, paint("dim", rest.join(" "))];
  return words.filter((word) => word !== "").join("  ");
}
