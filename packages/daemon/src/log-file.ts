import { closeSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";

/** The daemon's log, a line of JSON for each entry; older ones are `daemon.log.1` (the youngest of them), `.2` and so on. */
export const logPath = (stateDir: string): string => join(stateDir, "daemon.log");

/** What the daemon's process and its children write to standard error past its log: a crash of Node itself, a credential plugin's words. */
export const rawLogPath = (stateDir: string): string => join(stateDir, "daemon.stderr");

/** The log's files that may be there, the oldest first. */
export const logFiles = (path: string, keep = KEEP): string[] => [
  ...Array.from({ length: keep }, (_, i) => `${path}.${keep - i}`),
  path,
];

export interface LogFileOptions {
  path: string;
  /** A file that would grow beyond is put aside first, in bytes. Default 4 MiB. */
  maxBytes?: number;
  /** How many are put aside at most. Default 3. */
  keep?: number;
}

export interface LogFile {
  /** Writes a line before it returns, whole and in one file. Never throws: a full disk must not end what it tells of. */
  write(line: string): void;
  close(): void;
}

const MAX_BYTES = 4 * 1024 * 1024;
const KEEP = 3;

/** Appends to a log that is bounded in size. One process at a time writes it. */
export function openLogFile({ path, maxBytes = MAX_BYTES, keep = KEEP }: LogFileOptions): LogFile {
  let file: number | undefined;
  let size = 0;
  let lost = 0;

  const open = (): number => {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    file = openSync(path, "a", 0o600);
    size = fstatSync(file).size;
    return file;
  };
  const rotate = (): void => {
    close();
    const names = logFiles(path, keep);
    for (let i = 1; i < names.length; i++) moveIfThere(names[i]!, names[i - 1]!);
  };
  const close = (): void => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  const append = (line: string): void => {
    const bytes = Buffer.from(`${line}\n`);
    let target = file ?? open();
    if (size > 0 && size + bytes.length > maxBytes) {
      rotate();
      target = open();
    }
    size += writeSync(target, bytes);
  };

  return {
    write(line) {
      try {
        if (lost > 0) {
          const message = `${lost} ${lost === 1 ? "line" : "lines"} of this log could not be written`;
          append(JSON.stringify({ time: new Date().toISOString(), level: "warn", message }));
          lost = 0;
        }
        append(line);
      } catch {
        lost++;
      }
    },
    close,
  };
}

function moveIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/**
 * Takes what has come to `rawPath` into the log, line by line, and empties it when all is taken. Returns what does so again; with
 * `last`, also an unfinished line, and an empty file is removed.
 */
export function rawLogDrain(rawPath: string, onLine: (line: string) => void): (last?: boolean) => void {
  let taken = 0;
  return (last = false) => {
    let file: number;
    try {
      file = openSync(rawPath, "r+");
    } catch {
      return;
    }
    try {
      const { size } = fstatSync(file);
      // Somebody emptied it.
      if (size < taken) taken = 0;
      const bytes = Buffer.alloc(size - taken);
      const read = bytes.subarray(0, readSync(file, bytes, 0, bytes.length, taken));
      const end = last ? read.length : read.lastIndexOf(10) + 1;
      for (const line of read.subarray(0, end).toString("utf8").split("\n")) if (line !== "") onLine(line);
      taken += end;
      if (taken > 0 && fstatSync(file).size === taken) {
        ftruncateSync(file, 0);
        taken = 0;
      }
      if (last && fstatSync(file).size === 0) unlinkSync(rawPath);
    } catch {
      // What can't be taken stays where it is.
    } finally {
      closeSync(file);
    }
  };
}
