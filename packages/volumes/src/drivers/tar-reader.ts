import { volumesError } from "../errors.ts";

export interface TarEntry {
  /** As the archive has it: nothing is checked yet. */
  name: string;
  type: "file" | "directory" | "symlink" | "hardlink" | "other";
  /** Permission bits. */
  mode: number;
  /** Seconds since 1970. */
  mtime: number;
  /** Of a link. */
  target: string;
  /** Bytes of data that follow it. */
  size: number;
}

/** Who takes what is in an archive, in its order. */
export interface TarSink {
  /** Then come its data, in any pieces, and its end. */
  entry(entry: TarEntry): void;
  /** A view of what was pushed. */
  data(bytes: Buffer): void;
  end(): void;
}

export interface TarReader {
  /** Throws `VOLUMES_ARCHIVE_INVALID`, and what the sink throws; it must not be used after that. */
  push(chunk: Buffer): void;
  /** Throws `VOLUMES_ARCHIVE_INVALID` where the archive's end mark has not come. */
  finish(): void;
}

const BLOCK = 512;
/** More than any name is long: what describes the next entry is kept whole. */
const MAX_TEXT = 1024 * 1024;
const TYPES: Readonly<Record<string, TarEntry["type"]>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "5": "directory",
};

/**
 * Reads an archive as it comes, in pieces of any size: POSIX ustar and pax (IEEE 1003.1 `pax`), and GNU's long names. Keeps no more than a
 * header, and what extends one.
 */
export function tarReader(sink: TarSink): TarReader {
  const header = Buffer.alloc(BLOCK);
  let held = 0;
  /** Of what is being read: bytes of data that are still to come, and then those that fill its last block. */
  let left = 0;
  let padding = 0;
  /** Takes the data where they aren't the sink's. */
  let extension: { flag: string; parts: Buffer[] } | undefined;
  let open = false;
  let offset = 0;
  let ended = false;
  let global = new Map<string, string>();
  let next = new Map<string, string>();

  const field = (key: string): string | undefined => next.get(key) ?? global.get(key);

  const conclude = (): void => {
    if (open) sink.end();
    open = false;
    if (!extension) return;
    const { flag, parts } = extension;
    extension = undefined;
    const body = Buffer.concat(parts);
    if (flag === "x") for (const [key, value] of paxRecords(body, offset)) next.set(key, value);
    else if (flag === "g") global = new Map([...global, ...paxRecords(body, offset)]);
    else next.set(flag === "L" ? "path" : "linkpath", text(body, 0, body.length));
  };

  const begin = (block: Buffer): void => {
    if (block.readUInt32LE(0) === 0 && block.every((byte) => byte === 0)) {
      ended = true;
      return;
    }
    if (!sumsUp(block)) throw invalid(offset, "a header's checksum is wrong");
    const flag = String.fromCharCode(block[156]!);
    const extends_ = "xgLK".includes(flag);
    const own = extends_ ? undefined : field("size");
    const size = own === undefined ? number(block, 124, 12) : Number(own);
    if (!Number.isSafeInteger(size) || size < 0) throw invalid(offset, "a size is not a number");
    if (extends_ && size > MAX_TEXT) throw invalid(offset, "an extended header is too long");
    left = size;
    padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (extends_) extension = { flag, parts: [] };
    else {
      const prefix = text(block, 257, 5) === "ustar" && block[262] === 0 ? text(block, 345, 155) : "";
      const name = field("path") ?? (prefix ? `${prefix}/${text(block, 0, 100)}` : text(block, 0, 100));
      const type = TYPES[flag] ?? "other";
      open = true;
      sink.entry({
        name,
        // Before POSIX a directory was a file whose name ends with a slash.
        type: type === "file" && name.endsWith("/") ? "directory" : type,
        mode: number(block, 100, 8) & 0o777,
        mtime: Number(field("mtime") ?? number(block, 136, 12)),
        target: field("linkpath") ?? text(block, 157, 100),
        size,
      });
      if (next.size > 0) next = new Map();
    }
    if (left === 0) conclude();
  };

  return {
    push(chunk) {
      for (let at = 0; at < chunk.length && !ended; ) {
        const from = at;
        if (left > 0) {
          const bytes = chunk.subarray(at, at + left);
          at += bytes.length;
          left -= bytes.length;
          if (extension) extension.parts.push(Buffer.from(bytes));
          else sink.data(bytes);
          if (left === 0) conclude();
        } else if (padding > 0) {
          at += Math.min(padding, chunk.length - at);
          padding -= at - from;
        } else if (held === 0 && chunk.length - at >= BLOCK) {
          at += BLOCK;
          begin(chunk.subarray(from, at));
        } else {
          at += chunk.copy(header, held, at, at + BLOCK - held);
          held += at - from;
          if (held === BLOCK) {
            held = 0;
            begin(header);
          }
        }
        offset += at - from;
      }
    },
    finish() {
      if (!ended) throw invalid(offset, "it ends too early");
    },
  };
}

// Most of what a copy of small files costs here is in these: no strings where bytes do.

function text(block: Buffer, at: number, length: number): string {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return block.toString("utf8", at, end);
}

const BLANK = 0x20;
const ZERO = 0x30;

/** Octal; or, where the first bit is set, binary (GNU). */
function number(block: Buffer, from: number, length: number): number {
  if (block[from]! & 0x80) {
    const bytes = Buffer.from(block.subarray(from, from + length));
    bytes[0] = bytes[0]! & 0x7f;
    return Number(BigInt(`0x${bytes.toString("hex")}`));
  }
  const end = from + length;
  let at = from;
  let value = 0;
  while (at < end && block[at] === BLANK) at++;
  for (; at < end && block[at]! >= ZERO && block[at]! < ZERO + 8; at++) value = value * 8 + block[at]! - ZERO;
  while (at < end && block[at] === BLANK) at++;
  return at === end || block[at] === 0 ? value : Number.NaN;
}

/** The sum of all bytes, those of the checksum itself taken for spaces. */
function sumsUp(header: Buffer): boolean {
  let sum = 8 * BLANK;
  for (let at = 0; at < 148; at++) sum += header[at]!;
  for (let at = 156; at < BLOCK; at++) sum += header[at]!;
  return sum === number(header, 148, 8);
}

/** `LENGTH KEY=VALUE\n`, where the length counts the whole record in bytes. */
function paxRecords(body: Buffer, offset: number): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = Number(body.toString("latin1", at, Math.max(space, at)));
    const equals = body.indexOf(0x3d, space);
    const end = at + length;
    const fits = space > at && length > 0 && equals > space && equals < end && end <= body.length && body[end - 1] === 0x0a;
    if (!fits) throw invalid(offset, "an extended header is malformed");
    records.set(body.toString("utf8", space + 1, equals), body.toString("utf8", equals + 1, end - 1));
    at = end;
  }
  return records;
}

const invalid = (offset: number, why: string): Error =>
  volumesError("VOLUMES_ARCHIVE_INVALID", `not a whole tar archive, at byte ${offset}: ${why}`, { details: { offset } });
