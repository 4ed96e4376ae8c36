import { FLAGS } from "./sftp-packets.ts";

/** `open(2)`, on every machine that Node runs on under Linux. */
const ACCESS = 3;
const WRITE_ONLY = 1;
const READ_WRITE = 2;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;

/** Whether nothing will be written by it. Pure. */
export const isReadOnly = (flags: number): boolean => (flags & ACCESS) === 0;

/** Whether its content is gone by that, be it for reading alone: so it is on a disk under Linux. Pure. */
export const empties = (flags: number): boolean => (flags & O_TRUNC) !== 0;

/** Whether it appends, and what is written to the file in memory may come by it all the same, which has its place. Pure. */
export const needsPlace = (flags: number): boolean => (flags & ACCESS) === READ_WRITE && (flags & O_APPEND) !== 0;

/** What a program opens a file for, as a file server is told. Pure. */
export function openFlags(flags: number): number {
  const access = flags & ACCESS;
  return (
    (access === WRITE_ONLY ? FLAGS.WRITE : access === READ_WRITE ? FLAGS.READ | FLAGS.WRITE : FLAGS.READ) |
    // The kernel's idea of where a file ends may be older than another writer's.
    (flags & O_APPEND ? FLAGS.APPEND : 0) |
    (empties(flags) ? FLAGS.TRUNCATE : 0) |
    (flags & O_EXCL ? FLAGS.EXCLUSIVE : 0)
  );
}
