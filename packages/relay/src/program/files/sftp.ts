/**
 * SFTP version 3 (draft-ietf-secsh-filexfer-02): its numbers, and requests as they are read from bytes. Pure. Paths are byte strings (latin1),
 * since a file's name need not be UTF-8.
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

/**
 * Requests of our own. After one of the first two, which say nothing more, each file's attributes have one more in this session, of the same name:
 * what {@link fileStamp} or {@link fileStat} says of it. `utimes` (a handle, or an empty one and a path; two times, each as seconds in decimal, or `now`,
 * or empty for what it is) sets times to parts of a second. The last one (from, to, keep, the stamp that is expected: see {@link replaceIfSame}) is answered as a NAME of what `to` and
 * `keep` then are.
 */
export const STAMP = "stamp@shipside.dev";
export const STAT = "stat@shipside.dev";
const UTIMES = "utimes@shipside.dev";
const REPLACE = "replace-if-same@shipside.dev";

/** Extensions of OpenSSH's PROTOCOL file, with the versions that it gives them; and ours. */
export const EXTENSIONS = {
  "posix-rename@openssh.com": "1",
  "statvfs@openssh.com": "2",
  "hardlink@openssh.com": "1",
  "fsync@openssh.com": "1",
  [STAMP]: "1",
  [STAT]: "1",
  [UTIMES]: "1",
  [REPLACE]: "1",
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

/** As a file's attributes are told. */
export interface Told extends Required<Attributes> {
  /** In a session that asked for it: its name, and its text. */
  extended?: readonly [name: string, text: string];
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
  | { type: "replace"; from: string; to: string; keep: string; expected: string }
  | { type: "utimes"; handle: string; path: string; atime: string; mtime: string }
  | { type: "stamps" | "stats" | "unknown" }
);

/** A frame that isn't of the protocol's form: nothing after it can be trusted either. */
export class BadFrame extends Error {}

/** Flags of attributes. A client's extended ones are never more than what comes after all else, and are left unread. */
export const ATTRIBUTES = { SIZE: 1, OWNER: 2, MODE: 4, TIMES: 8, EXTENDED: 0x8000_0000 } as const;

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
    if (flags & ATTRIBUTES.SIZE) result.size = uint64();
    if (flags & ATTRIBUTES.OWNER) {
      result.uid = uint32();
      result.gid = uint32();
    }
    if (flags & ATTRIBUTES.MODE) result.mode = uint32();
    if (flags & ATTRIBUTES.TIMES) {
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
      if (name === STAMP) return { id, type: "stamps" };
      if (name === STAT) return { id, type: "stats" };
      if (name === UTIMES) return { id, type: "utimes", handle: text(), path: path(), atime: text(), mtime: text() };
      if (name === REPLACE) return { id, type: "replace", from: path(), to: path(), keep: path(), expected: text() };
      return { id, type: "unknown" };
    }
    default:
      return { id, type: "unknown" };
  }
}
