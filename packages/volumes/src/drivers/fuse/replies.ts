import { constants } from "node:os";
import { INIT_FLAGS, KIND, LARGEST_IO, MAJOR, MINOR, NOTIFY_INVAL_INODE, OUT_HEADER } from "./protocol.ts";

/** Answers to the kernel, as bytes: each is written whole. Pure. */

/** Of a file, as the mount shows it; times in seconds. */
export interface Attributes {
  size: number;
  mode: number;
  uid: number;
  gid: number;
  atime: number;
  mtime: number;
  /** Where the server tells it. */
  exact?: Exact;
}

/** What SFTP has no words for. */
export interface Exact {
  inode: bigint;
  links: number;
  /** Of 512 bytes. */
  blocks: bigint;
  /** Times of access, content and change in ns since 1970. */
  atime: bigint;
  mtime: bigint;
  ctime: bigint;
}

export type ErrorName = keyof typeof constants.errno;

const ATTRIBUTES = 88;
const ENTRY = 40 + ATTRIBUTES;
const DIRENT = 24;
const BLOCK = 4096;
const SECOND = 1_000_000_000n;

/** Zeroed, with its header. */
function reply(unique: number, length: number): Buffer {
  const made = Buffer.alloc(OUT_HEADER + length);
  putHeader(made, unique, made.length);
  return made;
}

/** For data that already stands after {@link OUT_HEADER}. */
export function putHeader(into: Buffer, unique: number, length: number): void {
  into.writeUInt32LE(length, 0);
  into.writeInt32LE(0, 4);
  putUint64(into, unique, 8);
}

export const doneReply = (unique: number): Buffer => reply(unique, 0);

export function errorReply(unique: number, name: ErrorName): Buffer {
  const made = reply(unique, 0);
  made.writeInt32LE(-constants.errno[name], 4);
  return made;
}

/** No answer: the kernel is to ask for a node's attributes when it needs them. Its pages stay, unless these have another time. */
export function changedNotice(node: number): Buffer {
  const made = reply(0, 24);
  made.writeInt32LE(NOTIFY_INVAL_INODE, 4);
  putUint64(made, node, OUT_HEADER);
  made.writeBigInt64LE(-1n, OUT_HEADER + 8);
  return made;
}

/** What is asked of the kernel, of what it offers. */
const WANTED = Object.values(INIT_FLAGS).reduce((all, flag) => all | flag, 0);
/** Reads ahead that are under way at a time. */
const MOST_AT_ONCE = 64;
/**
 * Bytes of read-ahead that are allowed, and no bound: the kernel takes the least of this and of what the mount's has been set to, which may be
 * raised before it has this answer or after.
 */
const READ_AHEAD = 64 * LARGEST_IO;

export function initReply(unique: number, offered: { flags: number }): Buffer {
  const made = reply(unique, 64);
  const words = [MAJOR, MINOR, READ_AHEAD, offered.flags & WANTED];
  for (const [index, word] of words.entries()) made.writeUInt32LE(word >>> 0, OUT_HEADER + index * 4);
  made.writeUInt16LE(MOST_AT_ONCE, OUT_HEADER + 16);
  made.writeUInt16LE(Math.floor((MOST_AT_ONCE * 3) / 4), OUT_HEADER + 18);
  made.writeUInt32LE(LARGEST_IO, OUT_HEADER + 20);
  // What a time is a multiple of, in ns.
  made.writeUInt32LE(1, OUT_HEADER + 24);
  made.writeUInt16LE(LARGEST_IO / 4096, OUT_HEADER + 28);
  return made;
}

/** A file, by the number that the kernel is to know it by. */
export interface Entry {
  node: number;
  attributes: Attributes;
  /** For how long the kernel may take its attributes as so, in s; 0: it asks for them when it needs them. */
  seconds: number;
  /** For how long its name, in s. */
  namedSeconds: number;
}

export function entryReply(unique: number, entry: Entry): Buffer {
  const made = reply(unique, ENTRY);
  putEntry(made, OUT_HEADER, entry);
  return made;
}

/** There is none of this name, and the kernel may take it as so for a while. */
export function absentReply(unique: number, seconds: number): Buffer {
  const made = reply(unique, ENTRY);
  putTime(made, seconds, OUT_HEADER + 16, OUT_HEADER + 32);
  return made;
}

export function attributesReply(unique: number, { node, attributes, seconds }: Entry): Buffer {
  const made = reply(unique, 16 + ATTRIBUTES);
  putTime(made, seconds, OUT_HEADER, OUT_HEADER + 8);
  putAttributes(made, OUT_HEADER + 16, node, attributes);
  return made;
}

export function openReply(unique: number, handle: number, flags = 0): Buffer {
  const made = reply(unique, 16);
  putOpen(made, OUT_HEADER, handle, flags);
  return made;
}

export function createReply(unique: number, entry: Entry, handle: number): Buffer {
  const made = reply(unique, ENTRY + 16);
  putEntry(made, OUT_HEADER, entry);
  putOpen(made, OUT_HEADER + ENTRY, handle, 0);
  return made;
}

export function textReply(unique: number, text: string): Buffer {
  const made = reply(unique, text.length);
  made.write(text, OUT_HEADER, "latin1");
  return made;
}

export function writtenReply(unique: number, size: number): Buffer {
  const made = reply(unique, 8);
  made.writeUInt32LE(size, OUT_HEADER);
  return made;
}

/** In the order of `struct statvfs`, as SFTP has it: block sizes, blocks, free, available, files, free, available, id, flags, name's length. */
export function statfsReply(unique: number, told: readonly number[]): Buffer {
  const made = reply(unique, 80);
  const [bsize = 0, frsize = 0, blocks = 0, bfree = 0, bavail = 0, files = 0, ffree = 0, , , , namelen = 0] = told;
  for (const [index, value] of [blocks, bfree, bavail, files, ffree].entries()) putUint64(made, value, OUT_HEADER + index * 8);
  made.writeUInt32LE(bsize, OUT_HEADER + 40);
  made.writeUInt32LE(namelen, OUT_HEADER + 44);
  made.writeUInt32LE(frsize, OUT_HEADER + 48);
  return made;
}

export interface DirectoryNames {
  readonly length: number;
  /** Name and kind. */
  at(index: number): { name: string; mode: number };
  /** Asked of each that has room in an answer. Without it the kernel looks the name up by itself when it needs it. */
  entry?(index: number): Entry | undefined;
}

/** As many names as there is room for, from one on. */
export function directoryReply(unique: number, names: DirectoryNames, { from, size }: { from: number; size: number }): Buffer {
  const made = Buffer.alloc(OUT_HEADER + size);
  const before = names.entry ? ENTRY : 0;
  let at = OUT_HEADER;
  for (let index = from; index < names.length; index++) {
    const { name, mode } = names.at(index);
    const length = align(before + DIRENT + name.length);
    if (at + length > made.length) break;
    const entry = names.entry?.(index);
    if (entry) putEntry(made, at, entry);
    const dirent = at + before;
    // Zero would be no file at all.
    const inode = entry?.attributes.exact?.inode ?? BigInt(entry?.node ?? 2 ** 32 + index);
    made.writeBigUInt64LE(BigInt.asUintN(64, inode), dirent);
    putUint64(made, index + 1, dirent + 8);
    made.writeUInt32LE(name.length, dirent + 16);
    made.writeUInt32LE((mode & KIND) >> 12, dirent + 20);
    made.write(name, dirent + DIRENT, "latin1");
    at += length;
  }
  putHeader(made, unique, at);
  return made.subarray(0, at);
}

const align = (length: number): number => (length + 7) & ~7;

function putUint64(into: Buffer, value: number, at: number): void {
  into.writeUInt32LE((value % 2 ** 32) >>> 0, at);
  into.writeUInt32LE(Math.floor(value / 2 ** 32) >>> 0, at + 4);
}

function putTime(into: Buffer, seconds: number, at: number, nanosecondsAt: number): void {
  const whole = Math.floor(seconds);
  putUint64(into, whole, at);
  into.writeUInt32LE(Math.round((seconds - whole) * 1e9), nanosecondsAt);
}

/** Before 1970 the seconds are negative, and what is beyond them never is. */
function putNanoseconds(into: Buffer, time: bigint, at: number, nanosecondsAt: number): void {
  const beyond = ((time % SECOND) + SECOND) % SECOND;
  into.writeBigInt64LE(BigInt.asIntN(64, (time - beyond) / SECOND), at);
  into.writeUInt32LE(Number(beyond), nanosecondsAt);
}

function putEntry(into: Buffer, at: number, { node, attributes, seconds, namedSeconds }: Entry): void {
  putUint64(into, node, at);
  putTime(into, namedSeconds, at + 16, at + 32);
  putTime(into, seconds, at + 24, at + 36);
  putAttributes(into, at + 40, node, attributes);
}

function putAttributes(into: Buffer, at: number, node: number, { size, mode, uid, gid, atime, mtime, exact }: Attributes): void {
  putUint64(into, size, at + 8);
  if (exact) {
    into.writeBigUInt64LE(BigInt.asUintN(64, exact.inode), at);
    into.writeBigUInt64LE(BigInt.asUintN(64, exact.blocks), at + 16);
    putNanoseconds(into, exact.atime, at + 24, at + 48);
    putNanoseconds(into, exact.mtime, at + 32, at + 52);
    putNanoseconds(into, exact.ctime, at + 40, at + 56);
  } else {
    putUint64(into, node, at);
    putUint64(into, Math.ceil(size / 512), at + 16);
    putUint64(into, atime, at + 24);
    putUint64(into, mtime, at + 32);
    putUint64(into, mtime, at + 40);
  }
  const words = [mode, exact?.links ?? 1, uid, gid, 0, BLOCK];
  for (const [index, word] of words.entries()) into.writeUInt32LE(word >>> 0, at + 60 + index * 4);
}

function putOpen(into: Buffer, at: number, handle: number, flags: number): void {
  putUint64(into, handle, at);
  into.writeUInt32LE(flags, at + 8);
}
