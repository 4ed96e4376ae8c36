import type { BigIntStats, Stats } from "node:fs";
import * as fs from "node:fs";
import { fileStamp } from "./replace.ts";
import type { Attributes, Told } from "./sftp.ts";

const { lstatSync, fstatSync, chmodSync, lchownSync, lutimesSync, fchmodSync, fchownSync, futimesSync } = fs;
export const MODE_BITS = 0o7777;

/** What a file's attributes are told as. */
export interface AttributeReader {
  /** From now on with stamps. */
  withStamps(): void;
  /** Undefined where nothing is. */
  of(path: Buffer): Told | undefined;
  ofOpen(fd: number): Told;
}

export function attributeReader(): AttributeReader {
  let stamps = false;
  return {
    withStamps() {
      stamps = true;
    },
    of(path) {
      if (!stamps) {
        const found = lstatSync(path, { throwIfNoEntry: false });
        return found && attributesOf(found);
      }
      const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      return found && withStamp(found);
    },
    ofOpen: (fd) => (stamps ? withStamp(fstatSync(fd, { bigint: true })) : attributesOf(fstatSync(fd))),
  };
}

function attributesOf({ size, uid, gid, mode, atimeMs, mtimeMs }: Stats): Told {
  return { size, uid, gid, mode, atime: atimeMs / 1000, mtime: mtimeMs / 1000 };
}

function withStamp(stats: BigIntStats): Told {
  const { size, uid, gid, mode, atimeMs, mtimeMs } = stats;
  const [atime, mtime] = [Number(atimeMs) / 1000, Number(mtimeMs) / 1000];
  return { size: Number(size), uid: Number(uid), gid: Number(gid), mode: Number(mode), atime, mtime, stamp: fileStamp(stats) };
}

export function refuseLink(path: Buffer): void {
  if (!lstatSync(path).isSymbolicLink()) return;
  throw Object.assign(new Error("a symbolic link has no size or mode to set"), { code: "EOPNOTSUPP" });
}

/** All but the size. Of the last part itself, never of what it points to. */
export function setAttributes(path: Buffer, { uid, gid, mode, atime, mtime }: Attributes): void {
  if (mode !== undefined) refuseLink(path);
  if (uid !== undefined && gid !== undefined) lchownSync(path, uid, gid);
  if (mode !== undefined) chmodSync(path, mode & MODE_BITS);
  if (atime !== undefined && mtime !== undefined) lutimesSync(path, atime, mtime);
}

/** All but the size. */
export function setFileAttributes(fd: number, { uid, gid, mode, atime, mtime }: Attributes): void {
  if (uid !== undefined && gid !== undefined) fchownSync(fd, uid, gid);
  if (mode !== undefined) fchmodSync(fd, mode & MODE_BITS);
  if (atime !== undefined && mtime !== undefined) futimesSync(fd, atime, mtime);
}
