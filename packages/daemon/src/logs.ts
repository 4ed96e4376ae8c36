import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { logFiles, logPath, rawLogPath } from "./log-file.ts";

/** A line of the daemon's log. Fields beyond these are the entry's own. */
export interface LogEntry {
  /** ISO 8601; empty where it isn't known. */
  time: string;
  level: string;
  message: string;
  [field: string]: unknown;
}

export interface ReadLogOptions {
  stateDir: string;
  /** Only what is as young as this. */
  since?: Date;
  /** Go on with what comes, until `signal` fires. */
  follow?: boolean;
  /** Between two looks, in ms. Default 200. */
  pollMs?: number;
  signal?: AbortSignal;
}

/**
 * The daemon's log from its oldest entry, across its rotations: no entry is left out and none comes twice, also where it rotates while
 * it is followed (unless it rotates all that is kept between two looks). Needs no daemon.
 */
export async function* readLog(options: ReadLogOptions): AsyncGenerator<LogEntry> {
  const { stateDir, since, follow = false, pollMs = 200, signal } = options;
  const from = since?.toISOString() ?? "";
  let wanted = from === "";
  for await (const line of linesOf(logPath(stateDir), { follow, pollMs, signal })) {
    const entry = parseLine(line);
    if (entry.time !== "") wanted = entry.time >= from;
    if (wanted) yield entry;
  }
  // Of a daemon that crashed and that none has followed.
  const raw = await readFile(rawLogPath(stateDir), "utf8").catch(() => "");
  for (const line of raw.split("\n")) if (line !== "") yield { time: "", level: "error", message: line, from: "stderr" };
}

export function parseLine(line: string): LogEntry {
  try {
    const entry = JSON.parse(line) as Partial<LogEntry> | null;
    if (typeof entry?.message === "string") {
      const { time, level, message, ...fields } = entry;
      return { time: typeof time === "string" ? time : "", level: String(level ?? "info"), message, ...fields };
    }
  } catch {}
  return { time: "", level: "info", message: line };
}

interface OpenFile {
  handle: FileHandle;
  inode: number;
  at: number;
  rest: Buffer;
}

/** An open file is known by its inode, which nobody else gets while it is open: so its place among the rotated ones can be found. */
async function* linesOf(
  path: string,
  { follow, pollMs, signal }: { follow: boolean; pollMs: number; signal: AbortSignal | undefined },
): AsyncGenerator<string> {
  let current: OpenFile | undefined;
  try {
    while (!signal?.aborted) {
      const next = await nextFile(path, current);
      // Seen before the last look at the current one: whatever there is of that, is there.
      if (current) yield* newLines(current);
      if (next) {
        if (current && current.rest.length > 0) yield current.rest.toString("utf8");
        await current?.handle.close();
        current = next;
        continue;
      }
      if (!follow) break;
      await delay(pollMs, undefined, signal && { signal }).catch(() => {});
    }
    if (current && current.rest.length > 0) yield current.rest.toString("utf8");
  } finally {
    await current?.handle.close();
  }
}

/** The file that comes after `current`, opened; the oldest where that is none of them any more. Undefined where it is the last. */
async function nextFile(path: string, current: OpenFile | undefined): Promise<OpenFile | undefined> {
  for (;;) {
    const found: Array<{ name: string; inode: number }> = [];
    for (const name of logFiles(path)) {
      const there = await stat(name).catch(() => undefined);
      if (there && !found.some(({ inode }) => inode === there.ino)) found.push({ name, inode: there.ino });
    }
    const own = found.findIndex(({ inode }) => inode === current?.inode);
    const next = found[own + 1];
    if (!next) return undefined;
    const handle = await open(next.name, "r").catch(() => undefined);
    if (!handle) continue;
    if ((await handle.stat()).ino === next.inode) return { handle, inode: next.inode, at: 0, rest: Buffer.alloc(0) };
    // It rotated in between.
    await handle.close();
  }
}

async function* newLines(file: OpenFile): AsyncGenerator<string> {
  const chunk = Buffer.alloc(64 * 1024);
  for (;;) {
    const { bytesRead } = await file.handle.read(chunk, 0, chunk.length, file.at);
    if (bytesRead === 0) return;
    file.at += bytesRead;
    const bytes = Buffer.concat([file.rest, chunk.subarray(0, bytesRead)]);
    const end = bytes.lastIndexOf(10) + 1;
    file.rest = bytes.subarray(end);
    if (end > 0)
      for (const line of bytes
        .subarray(0, end - 1)
        .toString("utf8")
        .split("\n"))
        if (line !== "") yield line;
  }
}
