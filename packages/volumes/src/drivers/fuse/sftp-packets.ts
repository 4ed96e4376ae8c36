/**
 * SFTP version 3 (draft-ietf-secsh-filexfer-02) as a client speaks it to a relay's file server: requests are made, replies are read. Pure. Paths,
 * names and handles are byte strings (latin1).
 */
import { constants } from "node:os";
import type { Attributes, ErrorName, Exact } from "./replies.ts";

const TYPES = {
  INIT: 1,
  OPEN: 3,
  CLOSE: 4,
  READ: 5,
  WRITE: 6,
  LSTAT: 7,
  FSTAT: 8,
  SETSTAT: 9,
  FSETSTAT: 10,
  OPENDIR: 11,
  READDIR: 12,
  REMOVE: 13,
  MKDIR: 14,
  RMDIR: 15,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  EXTENDED: 200,
} as const;
export const REPLY_TYPES = { VERSION: 2, STATUS: 101, HANDLE: 102, DATA: 103, NAME: 104, ATTRS: 105, EXTENDED_REPLY: 201 } as const;
export const FLAGS = { READ: 1, WRITE: 2, APPEND: 4, CREATE: 8, TRUNCATE: 16, EXCLUSIVE: 32 } as const;

/** As much as a server gives, or takes, at a time, in bytes. */
export const PIECE = 256 * 1024;

/** The handle of what the request before has opened. */
export const JUST_OPENED = "";

/** Bytes of a packet's length, type and id. */
const HEAD = 9;
/** What is changed of a file. SFTP has owners together only: {@link AS_IT_IS} is what stays. Times: `request.utimes`. */
export type Change = { size: number } | { uid: number; gid: number } | { mode: number };
/** Of owners, as of chown(2). */
export const AS_IT_IS = 0xffff_ffff;
/** In seconds; `now` is the server's. */
export type SetTime = number | "now" | undefined;

/** A failure of what was asked, in the words of the system. */
export class FileError extends Error {
  readonly code: ErrorName;

  constructor(code: ErrorName) {
    super(code);
    this.code = code;
  }
}

type Field = number | string | Buffer;

/** Whole, with its length; the id is put in when it is sent. Numbers become uint32, texts their length and bytes, buffers stay as they are. */
function packet(type: number, ...fields: Field[]): Buffer {
  let length = HEAD;
  for (const field of fields) length += typeof field === "number" ? 4 : typeof field === "string" ? 4 + field.length : field.length;
  const made = Buffer.allocUnsafe(length);
  made.writeUInt32BE(length - 4, 0);
  made[4] = type;
  let at = HEAD;
  for (const field of fields) {
    if (typeof field === "number") at = made.writeUInt32BE(field >>> 0, at);
    else if (typeof field === "string") {
      at = made.writeUInt32BE(field.length, at);
      at += made.write(field, at, "latin1");
    } else at += field.copy(made, at);
  }
  return made;
}

const wide = (value: number): Buffer => {
  const made = Buffer.allocUnsafe(8);
  made.writeUInt32BE(Math.floor(value / 2 ** 32) >>> 0, 0);
  made.writeUInt32BE(value >>> 0, 4);
  return made;
};
const sizeBytes = (change: Change): Field[] => {
  if ("size" in change) return [1, wide(change.size)];
  if ("uid" in change) return [2, change.uid, change.gid];
  return [4, change.mode];
};

/** Has no id: it is the first of a session. */
export const initPacket = (): Buffer => Buffer.from([0, 0, 0, 5, TYPES.INIT, 0, 0, 0, 3]);

/** Extensions of the relay's file server; another one answers `EOPNOTSUPP`. */
const [STAMP, REPLACE] = ["stamp@shipside.dev", "replace-if-same@shipside.dev"];
const [STAT, UTIMES] = ["stat@shipside.dev", "utimes@shipside.dev"];

/** The requests. Each is one packet, whose id is put in when it is sent. */
export const request = {
  open: (path: string, flags: number, mode?: number) =>
    packet(TYPES.OPEN, path, flags, ...(mode === undefined ? [0] : sizeBytes({ mode }))),
  close: (handle: string) => packet(TYPES.CLOSE, handle),
  read: (handle: string, offset: number, length: number) => packet(TYPES.READ, handle, wide(offset), length),
  lstat: (path: string) => packet(TYPES.LSTAT, path),
  stat: (path: string) => packet(TYPES.STAT, path),
  fstat: (handle: string) => packet(TYPES.FSTAT, handle),
  setstat: (path: string, change: Change) => packet(TYPES.SETSTAT, path, ...sizeBytes(change)),
  fsetstat: (handle: string, change: Change) => packet(TYPES.FSETSTAT, handle, ...sizeBytes(change)),
  opendir: (path: string) => packet(TYPES.OPENDIR, path),
  readdir: (handle: string) => packet(TYPES.READDIR, handle),
  remove: (path: string) => packet(TYPES.REMOVE, path),
  rmdir: (path: string) => packet(TYPES.RMDIR, path),
  mkdir: (path: string, mode: number) => packet(TYPES.MKDIR, path, ...sizeBytes({ mode })),
  readlink: (path: string) => packet(TYPES.READLINK, path),
  // OpenSSH has the two the other way round than the draft, and so has everybody.
  symlink: (target: string, path: string) => packet(TYPES.SYMLINK, target, path),
  /** Fails where the new name is taken. */
  rename: (from: string, to: string) => packet(TYPES.RENAME, from, to),
  /** Replaces what has the new name. */
  posixRename: (from: string, to: string) => packet(TYPES.EXTENDED, "posix-rename@openssh.com", from, to),
  hardlink: (from: string, to: string) => packet(TYPES.EXTENDED, "hardlink@openssh.com", from, to),
  /** From now on attributes have a stamp: `size:mode:mtime:ctime:inode`, times in ns. */
  stamps: () => packet(TYPES.EXTENDED, STAMP),
  /** From now on attributes have what is {@link Exact} besides. */
  stats: () => packet(TYPES.EXTENDED, STAT),
  /** Of a handle, or a path; times in seconds, undefined for what they are. */
  utimes: (of: { handle: string } | { path: string }, atime: SetTime, mtime: SetTime) => {
    const [handle, path] = "handle" in of ? [of.handle, ""] : ["", of.path];
    return packet(TYPES.EXTENDED, UTIMES, handle, path, String(atime ?? ""), String(mtime ?? ""));
  },
  /**
   * Puts `from` in the place of `to`, or nothing for an empty one, where `to` has the stamp that is expected (empty: where nothing is), and gives what
   * was there the name `keep`. `ESTALE` where it is another.
   */
  replace: (from: string, to: string, keep: string, expected: string) => packet(TYPES.EXTENDED, REPLACE, from, to, keep, expected),
  statvfs: (path: string) => packet(TYPES.EXTENDED, "statvfs@openssh.com", path),
  fsync: (handle: string) => packet(TYPES.EXTENDED, "fsync@openssh.com", handle),
} as const;

/** What comes before the `length` bytes of a WRITE. */
export function writeHead(handle: string, offset: number, length: number): Buffer {
  const made = packet(TYPES.WRITE, handle, wide(offset), length);
  made.writeUInt32BE(made.length - 4 + length, 0);
  return made;
}

export const putId = (packet: Buffer, id: number): void => void packet.writeUInt32BE(id, 5);

/** As a server tells them. */
export interface Told extends Attributes {
  /** Where `stamps` asked for it. */
  stamp?: string;
}

/** Readers of replies, each without its length. Throw a {@link FileError}: the server's, or `EIO` for a reply that isn't of the form. */
export const reply = {
  done(frame: Buffer): void {
    expect(frame, REPLY_TYPES.STATUS);
    if (frame.readUInt32BE(5) !== 0) throw failure(frame);
  },
  handle(frame: Buffer): string {
    expect(frame, REPLY_TYPES.HANDLE);
    return text(frame, 5).value;
  },
  attributes(frame: Buffer): Told {
    expect(frame, REPLY_TYPES.ATTRS);
    return attributes(frame, 5).value;
  },
  /** Of READDIR; none at the end. */
  names(frame: Buffer): Array<{ name: string; attributes: Told }> {
    if (frame[0] === REPLY_TYPES.STATUS && frame.readUInt32BE(5) === STATUS.EOF) return [];
    expect(frame, REPLY_TYPES.NAME);
    const found: Array<{ name: string; attributes: Told }> = [];
    let at = 9;
    for (let left = frame.readUInt32BE(5); left > 0; left--) {
      const name = text(frame, at);
      const told = attributes(frame, text(frame, name.end).end);
      found.push({ name: name.value, attributes: told.value });
      at = told.end;
    }
    return found;
  },
  /** Of READLINK. */
  target(frame: Buffer): string {
    expect(frame, REPLY_TYPES.NAME);
    return text(frame, 9).value;
  },
  /** The eleven numbers of `struct statvfs`. */
  statvfs(frame: Buffer): number[] {
    expect(frame, REPLY_TYPES.EXTENDED_REPLY);
    if (frame.length < 5 + 11 * 8) throw new FileError("EIO");
    return Array.from({ length: 11 }, (_, each) => frame.readUInt32BE(5 + each * 8) * 2 ** 32 + frame.readUInt32BE(9 + each * 8));
  },
} as const;

const STATUS = { EOF: 1, NO_SUCH_FILE: 2, PERMISSION_DENIED: 3, UNSUPPORTED: 8, NO_SPACE: 14, QUOTA_EXCEEDED: 15 } as const;
const OF_STATUS: Readonly<Record<number, ErrorName>> = {
  [STATUS.NO_SUCH_FILE]: "ENOENT",
  [STATUS.PERMISSION_DENIED]: "EACCES",
  [STATUS.UNSUPPORTED]: "EOPNOTSUPP",
  [STATUS.NO_SPACE]: "ENOSPC",
  [STATUS.QUOTA_EXCEEDED]: "EDQUOT",
};

function expect(frame: Buffer, type: number): void {
  if (frame[0] === type) return;
  throw frame[0] === REPLY_TYPES.STATUS ? failure(frame) : new FileError("EIO");
}

/** Version 3 has one status for most failures; Node's message, which our server sends with it, begins with the system's word for it. */
function failure(frame: Buffer): FileError {
  const message = frame.length >= 13 ? text(frame, 9).value : "";
  const word = /^(E[A-Z0-9]+)\b/.exec(message)?.[1];
  if (word !== undefined && word in constants.errno) return new FileError(word as ErrorName);
  return new FileError(OF_STATUS[frame.readUInt32BE(5)] ?? "EIO");
}

function text(frame: Buffer, at: number): { value: string; end: number } {
  const from = at + 4;
  const end = from <= frame.length ? from + frame.readUInt32BE(at) : Number.POSITIVE_INFINITY;
  if (end > frame.length) throw new FileError("EIO");
  return { value: frame.toString("latin1", from, end), end };
}

const EXTENDED = 0x8000_0000;

/** All of them are there, as our server tells them. */
function attributes(frame: Buffer, at: number): { value: Told; end: number } {
  const flags = frame.length < at + 32 ? 0 : frame.readUInt32BE(at);
  if ((flags & ~EXTENDED) !== 15) throw new FileError("EIO");
  const word = (offset: number): number => frame.readUInt32BE(at + offset);
  const value: Told = {
    size: word(4) * 2 ** 32 + word(8),
    ...{ uid: word(12), gid: word(16), mode: word(20), atime: word(24), mtime: word(28) },
  };
  let end = at + 32;
  if (flags === 15) return { value, end };
  if (frame.length < end + 4) throw new FileError("EIO");
  const count = frame.readUInt32BE(end);
  end += 4;
  for (let left = count; left > 0; left--) {
    const name = text(frame, end);
    const data = text(frame, name.end);
    if (name.value === STAMP) value.stamp = data.value;
    if (name.value === STAT) value.exact = exact(data.value);
    end = data.end;
  }
  return { value, end };
}

function exact(told: string): Exact {
  const fields = told.split(":");
  if (fields.length !== 6 || fields.some((field) => !/^-?\d+$/.test(field))) throw new FileError("EIO");
  const [inode, links, blocks, atime, mtime, ctime] = fields.map(BigInt) as [bigint, bigint, bigint, bigint, bigint, bigint];
  return { inode, links: Number(links), blocks, atime, mtime, ctime };
}
