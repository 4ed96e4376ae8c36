import type { BigIntStats, Stats } from "node:fs";
import * as fs from "node:fs";
import { hasCode } from "@shipside/core";
import { fileStamp } from "./replace.ts";
import { type Attributes, STAMP, STAT, type Told } from "./sftp.ts";

const { lstatSync, fstatSync, chmodSync, lchownSync, lutimesSync, fchmodSync, fchownSync, futimesSync } = fs;
export const MODE_BITS = 0o7777;

const EXTENDED = { [STAMP]: fileStamp, [STAT]: fileStat } as const;

/** What SFTP has no words for: inode, links, blocks of 512 bytes; times of access, content and change in ns since 1970; with `:` between. */
function fileStat({ ino, nlink, blocks, atimeNs, mtimeNs, ctimeNs }: BigIntStats): string {
  return [ino, nlink, blocks, atimeNs, mtimeNs, ctimeNs].join(":");
}

/** What a file's attributes are told as. */
export interface AttributeReader {
  /** From now on with this one more. */
  extend(name: keyof typeof EXTENDED): void;
  /** Undefined where nothing is. */
  of(path: Buffer): Told | undefined;
  ofOpen(fd: number): Told;
}

export function attributeReader(): AttributeReader {
  let more: keyof typeof EXTENDED | undefined;
  return {
    extend(name) {
      more = name;
    },
    of(path) {
      if (!more) {
        const found = lstatSync(path, { throwIfNoEntry: false });
        return found && attributesOf(found);
      }
      const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      return found && extended(found, more);
    },
    ofOpen: (fd) => (more ? extended(fstatSync(fd, { bigint: true }), more) : attributesOf(fstatSync(fd))),
  };
}

function attributesOf({ size, uid, gid, mode, atimeMs, mtimeMs }: Stats): Told {
  return { size, uid, gid, mode, atime: atimeMs / 1000, mtime: mtimeMs / 1000 };
}

function extended(stats: BigIntStats, name: keyof typeof EXTENDED): Told {
  const { size, uid, gid, mode, atimeMs, mtimeMs } = stats;
  const [atime, mtime] = [Number(atimeMs) / 1000, Number(mtimeMs) / 1000];
  const more = [name, EXTENDED[name](stats)] as const;
  return { size: Number(size), uid: Number(uid), gid: Number(gid), mode: Number(mode), atime, mtime, extended: more };
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

/** As `utimes` says it; libuv leaves a time as it is where it is told none (1.51: Node 24), and older ones refuse. */
function timeOf(text: string): number | Date {
  if (text === "") return new Date(Number.NaN);
  const seconds = text === "now" ? Date.now() / 1000 : Number(text);
  if (!Number.isFinite(seconds)) throw Object.assign(new Error(`EINVAL: ${text} is no time`), { code: "EINVAL" });
  return seconds;
}

/** Of a path's last part itself, never of what it points to; or of what is open. */
export function setTimes(of: Buffer | number, atime: string, mtime: string): void {
  const set = (first: number | Date, second: number | Date): void =>
    typeof of === "number" ? futimesSync(of, first, second) : lutimesSync(of, first, second);
  try {
    set(timeOf(atime), timeOf(mtime));
  } catch (error) {
    if (!hasCode(error, "EINVAL") || (atime !== "" && mtime !== "")) throw error;
    const before = typeof of === "number" ? fstatSync(of) : lstatSync(of);
    set(atime === "" ? before.atimeMs / 1000 : timeOf(atime), mtime === "" ? before.mtimeMs / 1000 : timeOf(mtime));
  }
}
