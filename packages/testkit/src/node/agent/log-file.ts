import { closeSync, openSync, renameSync, writeSync } from "node:fs";

const MAX_LINE = 16 * 1024;

export interface LogFile {
  write(stream: "stdout" | "stderr", chunk: Buffer): void;
  /** Writes what is left of unfinished lines. */
  close(): void;
}

/**
 * A container's log in the CRI's form: one line a line, with time and stream, long ones in parts (`P`). Bounded: when the file is full
 * it becomes `path.1` and a new one is begun, so that at most twice `maxBytes` are kept.
 */
export function openLogFile(path: string, maxBytes: number, onWrite: () => void): LogFile {
  let fd = openSync(path, "w");
  let size = 0;
  const rest: Record<string, Buffer> = {};

  const line = (stream: string, tag: "F" | "P", text: Buffer): void => {
    const record = Buffer.concat([Buffer.from(`${timestamp()} ${stream} ${tag} `), text, Buffer.from("\n")]);
    if (size > 0 && size + record.length > maxBytes) {
      closeSync(fd);
      renameSync(path, `${path}.1`);
      fd = openSync(path, "w");
      size = 0;
    }
    writeSync(fd, record);
    size += record.length;
  };

  return {
    write(stream, chunk) {
      let data = rest[stream]?.length ? Buffer.concat([rest[stream], chunk]) : chunk;
      for (let end = data.indexOf(10); end >= 0 || data.length > MAX_LINE; end = data.indexOf(10)) {
        if (end < 0 || end > MAX_LINE) {
          line(stream, "P", data.subarray(0, MAX_LINE));
          data = data.subarray(MAX_LINE);
        } else {
          line(stream, "F", data.subarray(0, end));
          data = data.subarray(end + 1);
        }
      }
      rest[stream] = data;
      onWrite();
    },
    close() {
      // An unfinished last line is a part: a reader must not add the line end that was never written.
      for (const [stream, data] of Object.entries(rest)) if (data.length > 0) line(stream, "P", data);
      closeSync(fd);
      onWrite();
    },
  };
}

/** RFC 3339 with nanoseconds, as container runtimes write it. The clock here has milliseconds; the rest keeps lines in order. */
let last = 0;
let within = 0;
function timestamp(): string {
  const now = Date.now();
  within = now === last ? Math.min(within + 1, 999_999) : 0;
  last = now;
  return `${new Date(now).toISOString().slice(0, -1)}${String(within).padStart(6, "0")}Z`;
}
