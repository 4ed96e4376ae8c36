/**
 * SFTP version 3 (draft-ietf-secsh-filexfer-02), as bytes: requests are read, replies are made. Pure. Paths are byte strings (latin1), since a
 * file's name need not be UTF-8.
 */

export const REQUESTS = {
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
  REALPATH: 16,
  STAT: 17,
  RENAME: 18,
  READLINK: 19,
  SYMLINK: 20,
  EXTENDED: 200,
} as const;

const INIT = 1;
export const REPLIES = { VERSION: 2, STATUS: 101, HANDLE: 102, DATA: 103, NAME: 104, ATTRS: 105, EXTENDED_REPLY: 201 } as const;

/** Section 7; the last two are of later drafts, and what a version 3 client takes for a failure that isn't one of permissions. */
export const STATUS = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  UNSUPPORTED: 8,
  NO_SPACE: 14,
  QUOTA_EXCEEDED: 15,
} as const;

/** `pflags` of OPEN (section 6.3). */
export const OPEN_FLAGS = { READ: 1, WRITE: 2, APPEND: 4, CREATE: 8, TRUNCATE: 16, EXCLUSIVE: 32 } as const;

/** Extensions of OpenSSH's PROTOCOL file, with the versions that it gives them. */
export const EXTENSIONS = {
  "posix-rename@openssh.com": "1",
  "statvfs@openssh.com": "2",
  "hardlink@openssh.com": "1",
  "fsync@openssh.com": "1",
} as const;

/** Section 5; times in seconds. What isn't there is undefined. */
export interface Attributes {
  size?: number;
  uid?: number;
  gid?: number;
  mode?: number;
  atime?: number;
  mtime?: number;
}

export type Request = { id: number } & (
  | { type: "open"; path: string; flags: number; attributes: Attributes }
  | { type: "close" | "fstat" | "readdir" | "fsync"; handle: string }
  | { type: "read"; handle: string; offset: number; length: number }
  | { type: "write"; handle: string; offset: number; data: Buffer }
  | { type: "lstat" | "stat" | "opendir" | "remove" | "rmdir" | "realpath" | "readlink" | "statvfs"; path: string }
  | { type: "setstat" | "mkdir"; path: string; attributes: Attributes }
  | { type: "fsetstat"; handle: string; attributes: Attributes }
  | { type: "rename" | "posixRename" | "hardlink"; from: string; to: string }
  | { type: "symlink"; target: string; path: string }
  | { type: "unknown" }
);

/** A frame that isn't of the protocol's form: nothing after it can be trusted either. */
export class BadFrame extends Error {}

/** Flags of attributes. Extended ones are never more than what comes after all else, and are left unread. */
const SIZE = 1;
const OWNER = 2;
const MODE = 4;
const TIMES = 8;

function fields(frame: Buffer) {
  let at = 1;
  const need = (bytes: number): number => {
    const from = at;
    if (from + bytes > frame.length) throw new BadFrame("a field reaches beyond its packet");
    at += bytes;
    return from;
  };
  const uint32 = (): number => frame.readUInt32BE(need(4));
  const uint64 = (): number => {
    const from = need(8);
    const value = frame.readUInt32BE(from) * 2 ** 32 + frame.readUInt32BE(from + 4);
    if (!Number.isSafeInteger(value)) throw new BadFrame("an offset or size is beyond 2^53");
    return value;
  };
  const bytes = (): Buffer => {
    const length = uint32();
    const from = need(length);
    return frame.subarray(from, from + length);
  };
  const text = (): string => bytes().toString("latin1");
  const path = (): string => {
    const value = text();
    if (value.includes("\0")) throw new BadFrame("a path has a NUL in it");
    return value;
  };
  const attributes = (): Attributes => {
    const flags = uint32();
    const result: Attributes = {};
    if (flags & SIZE) result.size = uint64();
    if (flags & OWNER) {
      result.uid = uint32();
      result.gid = uint32();
    }
    if (flags & MODE) result.mode = uint32();
    if (flags & TIMES) {
      result.atime = uint32();
      result.mtime = uint32();
    }
    return result;
  };
  return { uint32, uint64, bytes, text, path, attributes };
}

/** Whether it is the first packet of a session, which has no id. */
export const isInit = (frame: Buffer): boolean => frame[0] === INIT && frame.length >= 5;

/** A packet without its length. Throws {@link BadFrame}. Data of a WRITE is a view of the packet. */
export function parseRequest(frame: Buffer): Request {
  const { uint32, uint64, bytes, text, path, attributes } = fields(frame);
  const type = frame[0];
  const id = uint32();
  switch (type) {
    case REQUESTS.OPEN:
      return { id, type: "open", path: path(), flags: uint32(), attributes: attributes() };
    case REQUESTS.CLOSE:
      return { id, type: "close", handle: text() };
    case REQUESTS.READ:
      return { id, type: "read", handle: text(), offset: uint64(), length: uint32() };
    case REQUESTS.WRITE:
      return { id, type: "write", handle: text(), offset: uint64(), data: bytes() };
    case REQUESTS.LSTAT:
      return { id, type: "lstat", path: path() };
    case REQUESTS.FSTAT:
      return { id, type: "fstat", handle: text() };
    case REQUESTS.SETSTAT:
      return { id, type: "setstat", path: path(), attributes: attributes() };
    case REQUESTS.FSETSTAT:
      return { id, type: "fsetstat", handle: text(), attributes: attributes() };
    case REQUESTS.OPENDIR:
      return { id, type: "opendir", path: path() };
    case REQUESTS.READDIR:
      return { id, type: "readdir", handle: text() };
    case REQUESTS.REMOVE:
      return { id, type: "remove", path: path() };
    case REQUESTS.MKDIR:
      return { id, type: "mkdir", path: path(), attributes: attributes() };
    case REQUESTS.RMDIR:
      return { id, type: "rmdir", path: path() };
    case REQUESTS.REALPATH:
      return { id, type: "realpath", path: path() };
    case REQUESTS.STAT:
      return { id, type: "stat", path: path() };
    case REQUESTS.RENAME:
      return { id, type: "rename", from: path(), to: path() };
    case REQUESTS.READLINK:
      return { id, type: "readlink", path: path() };
    // OpenSSH has the two the other way round than the draft, and every client follows it.
    case REQUESTS.SYMLINK:
      return { id, type: "symlink", target: path(), path: path() };
    case REQUESTS.EXTENDED: {
      const name = text();
      if (name === "posix-rename@openssh.com") return { id, type: "posixRename", from: path(), to: path() };
      if (name === "hardlink@openssh.com") return { id, type: "hardlink", from: path(), to: path() };
      if (name === "statvfs@openssh.com") return { id, type: "statvfs", path: path() };
      if (name === "fsync@openssh.com") return { id, type: "fsync", handle: text() };
      return { id, type: "unknown" };
    }
    default:
      return { id, type: "unknown" };
  }
}

/** A packet of `length` bytes after its length, type and id. */
function packet(type: number, id: number, length: number): Buffer {
  const made = Buffer.allocUnsafe(9 + length);
  made.writeUInt32BE(5 + length, 0);
  made[4] = type;
  made.writeUInt32BE(id, 5);
  return made;
}

export function versionReply(): Buffer {
  const parts = Object.entries(EXTENSIONS).flatMap(([name, version]) => [string(name), string(version)]);
  const body = Buffer.concat(parts);
  const head = packet(REPLIES.VERSION, 3, body.length);
  body.copy(head, 9);
  return head;
}

export function statusReply(id: number, status: number, message = ""): Buffer {
  const text = string(Buffer.from(message).toString("latin1"));
  const made = packet(REPLIES.STATUS, id, 4 + text.length + 4);
  made.writeUInt32BE(status, 9);
  text.copy(made, 13);
  made.writeUInt32BE(0, 13 + text.length);
  return made;
}

export function handleReply(id: number, handle: string): Buffer {
  const text = string(handle);
  const made = packet(REPLIES.HANDLE, id, text.length);
  text.copy(made, 9);
  return made;
}

/** Where the data of a {@link dataReply} begins. */
export const DATA_AT = 13;

/** For `length` bytes, to be filled in from {@link DATA_AT}; {@link cutDataReply} where there are fewer. */
export const dataReply = (id: number, length: number): Buffer => packet(REPLIES.DATA, id, 4 + length);

export function cutDataReply(reply: Buffer, length: number): Buffer {
  reply.writeUInt32BE(5 + 4 + length, 0);
  reply.writeUInt32BE(length, 9);
  return reply.subarray(0, DATA_AT + length);
}

export function attributesReply(id: number, attributes: Required<Attributes>): Buffer {
  const made = packet(REPLIES.ATTRS, id, ATTRIBUTES_LENGTH);
  putAttributes(made, 9, attributes);
  return made;
}

export interface Name {
  name: string;
  /** As `ls -l` would show it; nobody may parse it. */
  long: string;
  /** Without them (REALPATH, READLINK) it says nothing about the file. */
  attributes?: Required<Attributes>;
}

export function nameReply(id: number, names: readonly Name[]): Buffer {
  const length = names.reduce(
    (sum, { name, long, attributes }) => sum + 8 + name.length + long.length + (attributes ? ATTRIBUTES_LENGTH : 4),
    4,
  );
  const made = packet(REPLIES.NAME, id, length);
  let at = made.writeUInt32BE(names.length, 9);
  for (const { name, long, attributes } of names) {
    for (const text of [name, long]) {
      at = made.writeUInt32BE(text.length, at);
      at += made.write(text, at, "latin1");
    }
    at = attributes ? putAttributes(made, at, attributes) : made.writeUInt32BE(0, at);
  }
  return made;
}

/** In the order of `struct statvfs`: see OpenSSH's PROTOCOL, 3.4. */
export function statvfsReply(id: number, values: readonly bigint[]): Buffer {
  const made = packet(REPLIES.EXTENDED_REPLY, id, values.length * 8);
  for (const [index, value] of values.entries()) made.writeBigUInt64BE(BigInt.asUintN(64, value), 9 + index * 8);
  return made;
}

const ATTRIBUTES_LENGTH = 32;

function putAttributes(into: Buffer, from: number, { size, uid, gid, mode, atime, mtime }: Required<Attributes>): number {
  let at = into.writeUInt32BE(SIZE | OWNER | MODE | TIMES, from);
  at = into.writeBigUInt64BE(BigInt(size), at);
  for (const value of [uid, gid, mode, atime, mtime]) at = into.writeUInt32BE(Math.floor(value) >>> 0, at);
  return at;
}

function string(text: string): Buffer {
  const made = Buffer.allocUnsafe(4 + text.length);
  made.writeUInt32BE(text.length, 0);
  made.write(text, 4, "latin1");
  return made;
}
