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
  data: Buffer;
}

const BLOCK = 512;
const TYPES: Readonly<Record<string, TarEntry["type"]>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "5": "directory",
};

/**
 * The entries of a whole archive: POSIX ustar and pax (IEEE 1003.1 `pax`), and GNU's long names. Throws `VOLUMES_ARCHIVE_INVALID`,
 * also where it ends without the end mark.
 */
export function* readTar(archive: Buffer): Generator<TarEntry> {
  let offset = 0;
  let global = new Map<string, string>();
  let next = new Map<string, string>();
  for (;;) {
    const header = archive.subarray(offset, offset + BLOCK);
    if (header.length < BLOCK) throw invalid(offset, "it ends too early");
    if (header.every((byte) => byte === 0)) return;
    if (!sumsUp(header)) throw invalid(offset, "a header's checksum is wrong");
    const flag = String.fromCharCode(header[156]!);
    const own = /[xgLK]/.test(flag) ? undefined : (next.get("size") ?? global.get("size"));
    const size = own === undefined ? number(header, 124, 12) : Number(own);
    if (!Number.isSafeInteger(size) || size < 0) throw invalid(offset, "a size is not a number");
    const from = offset + BLOCK;
    if (from + size > archive.length) throw invalid(offset, "it ends too early");
    const body = archive.subarray(from, from + size);
    offset = from + Math.ceil(size / BLOCK) * BLOCK;

    if (flag === "x") for (const [key, value] of paxRecords(body, from)) next.set(key, value);
    else if (flag === "g") global = new Map([...global, ...paxRecords(body, from)]);
    else if (flag === "L" || flag === "K") next.set(flag === "L" ? "path" : "linkpath", text(body, 0, size));
    else {
      const field = (key: string): string | undefined => next.get(key) ?? global.get(key);
      const prefix = text(header, 257, 5) === "ustar" && header[262] === 0 ? text(header, 345, 155) : "";
      const name = field("path") ?? (prefix ? `${prefix}/${text(header, 0, 100)}` : text(header, 0, 100));
      const type = TYPES[flag] ?? "other";
      yield {
        name,
        // Before POSIX a directory was a file whose name ends with a slash.
        type: type === "file" && name.endsWith("/") ? "directory" : type,
        mode: number(header, 100, 8) & 0o777,
        mtime: Number(field("mtime") ?? number(header, 136, 12)),
        target: field("linkpath") ?? text(header, 157, 100),
        data: body,
      };
      next = new Map();
    }
  }
}

function text(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end === -1 ? field.length : end);
}

/** Octal; or, where the first bit is set, binary (GNU). */
function number(block: Buffer, at: number, length: number): number {
  if (block[at]! & 0x80) {
    const bytes = Buffer.from(block.subarray(at, at + length));
    bytes[0] = bytes[0]! & 0x7f;
    return Number(BigInt(`0x${bytes.toString("hex")}`));
  }
  const digits = text(block, at, length).trim();
  return digits === "" ? 0 : /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
}

/** The sum of all bytes, those of the checksum itself taken for spaces. */
function sumsUp(header: Buffer): boolean {
  let sum = 8 * 32;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at]!;
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
