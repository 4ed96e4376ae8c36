import { GETATTR_BY_HANDLE, IN_HEADER, OPCODES, SET, WRITE_HEADER, WRITE_PAGES } from "./protocol.ts";

/** What the kernel asks, as it stands in a request's bytes. Names are byte strings (latin1). */
export type Request = { unique: number; node: number } & (
  | { type: "init"; major: number; minor: number; flags: number }
  | { type: "lookup" | "unlink" | "rmdir"; name: string }
  | { type: "forget"; forgotten: readonly Forgotten[] }
  | { type: "getattr"; handle?: number }
  | { type: "setattr"; changes: Changes; handle?: number }
  | { type: "readlink" | "statfs" }
  | { type: "symlink"; name: string; target: string }
  | { type: "mknod" | "mkdir"; name: string; mode: number }
  | { type: "rename"; name: string; newParent: number; newName: string; flags: number }
  | { type: "link"; existing: number; name: string }
  | { type: "open"; flags: number }
  | { type: "create"; name: string; flags: number; mode: number }
  | { type: "read"; handle: number; offset: number; size: number }
  | { type: "readdir" | "readdirplus"; handle: number; offset: number; size: number }
  | { type: "write"; handle: number; offset: number; data: Buffer; ofMemory: boolean }
  | { type: "flush" | "fsync" | "release" | "releasedir"; handle: number }
  | { type: "opendir" }
  | { type: "interrupt"; of: number }
  | { type: "other" }
);

/** The requests of some types. */
export type Of<T extends Request["type"]> = Extract<Request, { type: T }>;

export interface Forgotten {
  node: number;
  /** So many of the answers that named it. */
  lookups: number;
}

/** Times in seconds; `now` is the server's. */
export interface Changes {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: number | "now";
  mtime?: number | "now";
}

/** Bytes that are no request of this protocol. */
export class BadRequest extends Error {}

/** A request from its bytes, and no more than those. Data of a WRITE is a view. Throws {@link BadRequest}. Pure. */
export function parseRequest(bytes: Buffer): Request {
  if (bytes.length < IN_HEADER || bytes.readUInt32LE(0) !== bytes.length) throw new BadRequest("a length that isn't so");
  const opcode = bytes.readUInt32LE(4);
  const to = { unique: uint64(bytes, 8), node: uint64(bytes, 16) };
  /** Where a field after the header stands. */
  const place = (offset: number, length: number): number => {
    if (IN_HEADER + offset + length > bytes.length) throw new BadRequest("it ends too early");
    return IN_HEADER + offset;
  };
  const uint32 = (offset: number): number => bytes.readUInt32LE(place(offset, 4));
  const wide = (offset: number): number => uint64(bytes, place(offset, 8));
  /** Those that follow the fields, each ended by a NUL. */
  const names = (offset: number, count: number): string[] => {
    const found: string[] = [];
    for (let from = place(offset, 0); found.length < count; ) {
      const end = bytes.indexOf(0, from);
      if (end === -1) throw new BadRequest("a name without an end");
      found.push(bytes.toString("latin1", from, end));
      from = end + 1;
    }
    return found;
  };
  const name = (offset = 0): string => names(offset, 1)[0]!;
  switch (opcode) {
    case OPCODES.INIT:
      return { ...to, type: "init", major: uint32(0), minor: uint32(4), flags: uint32(12) };
    case OPCODES.LOOKUP:
      return { ...to, type: "lookup", name: name() };
    case OPCODES.UNLINK:
      return { ...to, type: "unlink", name: name() };
    case OPCODES.RMDIR:
      return { ...to, type: "rmdir", name: name() };
    case OPCODES.FORGET:
      return { ...to, type: "forget", forgotten: [{ node: to.node, lookups: wide(0) }] };
    case OPCODES.BATCH_FORGET: {
      const count = uint32(0);
      place(8, count * 16);
      const forgotten = Array.from({ length: count }, (_, each) => ({ node: wide(8 + each * 16), lookups: wide(16 + each * 16) }));
      return { ...to, type: "forget", forgotten };
    }
    case OPCODES.GETATTR:
      return { ...to, type: "getattr", ...(uint32(0) & GETATTR_BY_HANDLE && { handle: wide(8) }) };
    case OPCODES.SETATTR:
      return { ...to, type: "setattr", ...setattr(uint32, wide) };
    case OPCODES.READLINK:
      return { ...to, type: "readlink" };
    case OPCODES.STATFS:
      return { ...to, type: "statfs" };
    case OPCODES.SYMLINK: {
      const [made, target] = names(0, 2) as [string, string];
      return { ...to, type: "symlink", name: made, target };
    }
    case OPCODES.MKNOD:
      return { ...to, type: "mknod", mode: uint32(0), name: name(16) };
    case OPCODES.MKDIR:
      return { ...to, type: "mkdir", mode: uint32(0), name: name(8) };
    case OPCODES.RENAME:
    case OPCODES.RENAME2: {
      const second = opcode === OPCODES.RENAME2;
      const [from, newName] = names(second ? 16 : 8, 2) as [string, string];
      return { ...to, type: "rename", name: from, newParent: wide(0), newName, flags: second ? uint32(8) : 0 };
    }
    case OPCODES.LINK:
      return { ...to, type: "link", existing: wide(0), name: name(8) };
    case OPCODES.OPEN:
      return { ...to, type: "open", flags: uint32(0) };
    case OPCODES.CREATE:
      return { ...to, type: "create", flags: uint32(0), mode: uint32(4), name: name(16) };
    case OPCODES.READ:
      return { ...to, type: "read", handle: wide(0), offset: wide(8), size: uint32(16) };
    case OPCODES.READDIR:
      return { ...to, type: "readdir", handle: wide(0), offset: wide(8), size: uint32(16) };
    case OPCODES.READDIRPLUS:
      return { ...to, type: "readdirplus", handle: wide(0), offset: wide(8), size: uint32(16) };
    case OPCODES.WRITE: {
      const size = uint32(16);
      const from = place(WRITE_HEADER - IN_HEADER, size);
      const data = bytes.subarray(from, from + size);
      return { ...to, type: "write", handle: wide(0), offset: wide(8), data, ofMemory: (uint32(20) & WRITE_PAGES) !== 0 };
    }
    case OPCODES.FLUSH:
      return { ...to, type: "flush", handle: wide(0) };
    case OPCODES.FSYNC:
      return { ...to, type: "fsync", handle: wide(0) };
    case OPCODES.RELEASE:
      return { ...to, type: "release", handle: wide(0) };
    case OPCODES.RELEASEDIR:
      return { ...to, type: "releasedir", handle: wide(0) };
    case OPCODES.OPENDIR:
      return { ...to, type: "opendir" };
    case OPCODES.INTERRUPT:
      return { ...to, type: "interrupt", of: wide(0) };
    default:
      return { ...to, type: "other" };
  }
}

/** Beyond 2^53 there is no file's size, and nothing that was named here. */
function uint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

function setattr(uint32: (at: number) => number, wide: (at: number) => number): { changes: Changes; handle?: number } {
  const valid = uint32(0);
  // A second before 1970 has the upper half of a negative number.
  const seconds = (at: number, nanoseconds: number): number =>
    uint32(at) + (uint32(at + 4) | 0) * 2 ** 32 + uint32(nanoseconds) / 1e9;
  const changes: Changes = {};
  if (valid & SET.MODE) changes.mode = uint32(68);
  if (valid & SET.UID) changes.uid = uint32(76);
  if (valid & SET.GID) changes.gid = uint32(80);
  if (valid & SET.SIZE) changes.size = wide(16);
  if (valid & SET.ATIME) changes.atime = valid & SET.ATIME_NOW ? "now" : seconds(32, 56);
  if (valid & SET.MTIME) changes.mtime = valid & SET.MTIME_NOW ? "now" : seconds(40, 60);
  return { changes, ...(valid & SET.HANDLE && { handle: wide(8) }) };
}
