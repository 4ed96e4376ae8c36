import type { Logger } from "@shipside/core";
import { type LogFileOptions, logPath, openLogFile, rawLogDrain, rawLogPath } from "./log-file.ts";

export interface DaemonLog {
  readonly logger: Logger;
  /** Takes in what is left, and gives standard error back. False: another process is the daemon, and has the files. */
  close(own?: boolean): void;
}

/** How often what came past the log is taken into it, in ms. */
const DRAIN_MS = 2_000;

/**
 * The log of this process, and of all that it says on standard error and output. What an earlier one left there when it crashed comes
 * first.
 */
export function openDaemonLog(stateDir: string, options: Omit<LogFileOptions, "path"> = {}): DaemonLog {
  const file = openLogFile({ path: logPath(stateDir), ...options });
  const entry = (level: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void =>
    file.write(JSON.stringify({ time: new Date().toISOString(), level, message, ...fields }));
  const log =
    (level: string): Logger["info"] =>
    (message, fields) =>
      entry(level, message, fields);

  const drain = rawLogDrain(rawLogPath(stateDir), (line) => entry("error", line, { from: "stderr" }));
  drain();
  const timer = setInterval(drain, DRAIN_MS).unref();
  const restore = [capture(process.stderr, entry, "error"), capture(process.stdout, entry, "info")];

  return {
    logger: { debug() {}, info: log("info"), warn: log("warn"), error: log("error") },
    close(own = true) {
      clearInterval(timer);
      for (const each of restore) each();
      drain(own);
      file.close();
    },
  };
}

/** What is written to a stream of this process becomes entries. Returns its undo. */
function capture(
  stream: NodeJS.WriteStream,
  entry: (level: string, message: string, fields: Readonly<Record<string, unknown>>) => void,
  level: string,
): () => void {
  const { write } = stream;
  stream.write = ((chunk: string | Uint8Array, encoding?: unknown, done?: unknown): boolean => {
    const text = typeof chunk === "string" ? chunk : Buffer.from(chunk).toString("utf8");
    for (const line of text.split("\n")) if (line !== "") entry(level, line, { from: level === "error" ? "stderr" : "stdout" });
    const callback = typeof encoding === "function" ? encoding : done;
    if (typeof callback === "function") process.nextTick(callback as () => void);
    return true;
  }) as typeof stream.write;
  return () => {
    stream.write = write;
  };
}
