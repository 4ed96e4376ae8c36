import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { Readable } from "node:stream";
import type { LogOptions } from "./runtime.ts";

export interface LogSource {
  path: string;
  /** Called with a listener for news of the log; returns its undo. Undefined where nothing more will be written. */
  watch?(listener: () => void): () => void;
  /** Resolves when the container has ended and its log is whole. */
  ended?: Promise<unknown>;
}

const HEAD = /^(\S+) (stdout|stderr) ([FP]) /;

/** One record of a log file: "time stream F|P text". */
function parse(line: string): { time: string; full: boolean; text: string } | undefined {
  const match = HEAD.exec(line);
  return match ? { time: match[1]!, full: match[3] === "F", text: line.slice(match[0].length) } : undefined;
}

/** A container's log as `kubectl logs` shows it. Ends at the end of the file, or with the container where `follow` is set. */
export function readLog(source: LogSource, options: LogOptions): Readable {
  const { limitBytes = Number.POSITIVE_INFINITY, since, tailLines, timestamps } = options;
  let left = limitBytes;
  let fd: number | undefined;
  let position = 0;
  let rest = Buffer.alloc(0);
  let atLineStart = true;
  let unwatch: (() => void) | undefined;

  const format = (line: string): string => {
    const record = parse(line);
    if (!record || (since && new Date(record.time) < since)) return "";
    const head = timestamps && atLineStart ? `${record.time} ` : "";
    atLineStart = record.full;
    return `${head}${record.text}${record.full ? "\n" : ""}`;
  };
  const out = new Readable({
    read() {},
    destroy(error, done) {
      unwatch?.();
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
      done(error);
    },
  });
  /** False once the limit is reached. */
  const emit = (lines: readonly string[]): boolean => {
    const bytes = Buffer.from(lines.map(format).join(""));
    if (bytes.length > 0) out.push(left < bytes.length ? bytes.subarray(0, left) : bytes);
    left -= bytes.length;
    return left > 0;
  };
  const take = (bytes: Buffer): string[] => {
    const lines = Buffer.concat([rest, bytes]).toString("utf8").split("\n");
    rest = Buffer.from(lines.pop()!);
    return lines;
  };
  /** What was written since the last time; also across a rotation. */
  const more = (): string[] => {
    const chunk = Buffer.alloc(64 * 1024);
    const lines: string[] = [];
    for (;;) {
      const n = readSync(fd!, chunk, 0, chunk.length, position);
      if (n > 0) {
        position += n;
        lines.push(...take(chunk.subarray(0, n)));
        continue;
      }
      const current = openIf(source.path);
      if (current === undefined) return lines;
      if (fstatSync(current).ino === fstatSync(fd!).ino) {
        closeSync(current);
        return lines;
      }
      closeSync(fd!);
      fd = current;
      position = 0;
    }
  };

  const rotated = readIf(`${source.path}.1`);
  fd = openIf(source.path);
  const first = take(rotated);
  if (fd !== undefined) first.push(...more());
  const start = tailLines === undefined ? first : lastLines(first, tailLines);
  const go = emit(start);
  let finished = false;
  const finish = (): void => {
    finished = true;
    unwatch?.();
    out.push(null);
  };
  if (!go || !options.follow || !source.watch || fd === undefined) finish();
  else {
    const news = (last: boolean): void => {
      if (fd === undefined || finished) return;
      if (!emit(more()) || last) finish();
    };
    unwatch = source.watch(() => news(false));
    void source.ended?.then(() => news(true));
    news(false);
  }
  return out;
}

/** The records of the last `count` whole lines. */
function lastLines(records: readonly string[], count: number): string[] {
  let lines = 0;
  let at = records.length;
  while (at > 0) {
    // A record ends a line where the one after it begins a new one: where it is full, or the very last.
    if (at === records.length || parse(records[at - 1]!)?.full) lines++;
    if (lines > count) break;
    at--;
  }
  return records.slice(at);
}

function openIf(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}

function readIf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
