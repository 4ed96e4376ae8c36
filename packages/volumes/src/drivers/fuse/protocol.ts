/**
 * Numbers of the kernel's FUSE protocol, version 7.38 (`linux/fuse.h`). All fields are little-endian: of the machine's order, and Node runs
 * on no other here.
 */

export const MAJOR = 7;
/** What is asked for here came with 7.31 at the latest; a kernel that has more speaks this. */
export const MINOR = 38;
export const OLDEST_MINOR = 31;

export const ROOT_ID = 1;

export const OPCODES = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  CREATE: 35,
  INTERRUPT: 36,
  BATCH_FORGET: 42,
  READDIRPLUS: 44,
  RENAME2: 45,
} as const;

/** Of INIT, either way. */
export const INIT_FLAGS = {
  /** Several reads of a file at a time: read-ahead. */
  ASYNC_READ: 1 << 0,
  /** OPEN truncates by itself. */
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  /** Attributes are asked for before a read, once they are too old, and pages of a file that has another time by then are dropped. */
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  PARALLEL_DIROPS: 1 << 18,
  /** After the end of the connection reading the device says ECONNABORTED. */
  ABORT_ERROR: 1 << 21,
  MAX_PAGES: 1 << 22,
} as const;

/** `valid` of SETATTR. */
export const SET = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  HANDLE: 1 << 6,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
} as const;

/** Of a mode (inode(7)): the kind of file, two of the kinds, and what chmod(2) sets. */
export const KIND = 0o170000;
export const REGULAR = 0o100000;
export const DIRECTORY = 0o040000;
export const MODE_BITS = 0o7777;

/** The answer's flag of OPEN: what the page cache has of the file still holds. */
export const KEEP_CACHE = 1 << 1;
/** The same: its closing need not be told. Came with 7.35; an older kernel tells it all the same. */
export const NO_FLUSH = 1 << 5;
export const GETATTR_BY_HANDLE = 1;
/** Of WRITE: pages that were written to in memory, by whatever handle the kernel had. */
export const WRITE_PAGES = 1;
export const RENAME_NOREPLACE = 1;

/** A notice to the kernel, in the place of an answer's error: what it knows of a node isn't so any more. */
export const NOTIFY_INVAL_INODE = 2;

/** Bytes of the header before each request, and before each answer. */
export const IN_HEADER = 40;
export const OUT_HEADER = 16;
/** Of the fields before a WRITE's data, header included. */
export const WRITE_HEADER = IN_HEADER + 40;

/** The largest read and write, in bytes: 256 pages, the most that a kernel takes without being told otherwise. */
export const LARGEST_IO = 1024 * 1024;
/** Room for any request. */
export const REQUEST_ROOM = LARGEST_IO + 4096;
