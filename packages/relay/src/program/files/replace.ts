import * as fs from "node:fs";
import { hasCode } from "@shipside/core";

/** What tells one state of a file from another: size, mode (octal), times of content and of change (ns since 1970), and inode, with `:` between. */
export const fileStamp = ({ size, mode, mtimeNs, ctimeNs, ino }: fs.BigIntStats): string =>
  [size, mode.toString(8), mtimeNs, ctimeNs, ino].join(":");

export interface Replacement {
  /** Takes the name. Without it the name is taken away. */
  from?: Buffer;
  to: Buffer;
  /** A name that nothing has, beside `to`: what had its name has this one afterwards. Who has it open may still write to it. */
  keep: Buffer;
  /** What has the name, by {@link fileStamp}; empty: nothing has. */
  expected: string;
}

/** Failures of `link` where the file system has none, has no more for this file, or the kernel won't for who doesn't own it. */
const NO_LINK = ["EPERM", "EOPNOTSUPP", "ENOTSUP", "ENOSYS", "EMLINK", "EXDEV"];

/**
 * Puts a file in another one's place, or takes that away, if it is still as expected: else `ESTALE`, and all is as it was. Done in one turn, so that
 * of this process nothing comes between; of others, what is written to the old file is in what is kept. The name always has a file, but where
 * there are no hard links: then, as for what is taken away and was changed in that moment, for as long as two calls take. Not for folders.
 */
export function replaceIfSame({ from, to, keep, expected }: Replacement): void {
  const found = fs.lstatSync(to, { bigint: true, throwIfNoEntry: false });
  if ((found ? fileStamp(found) : "") !== expected) throw stale(to);
  if (!found) {
    if (from) putWhereNothingIs(from, to);
    return;
  }
  if (found.isDirectory()) throw Object.assign(new Error(`EISDIR: ${to} is a folder`), { code: "EISDIR" });
  const isKept = (): boolean => {
    const kept = fs.lstatSync(keep, { bigint: true });
    return kept.ino === found.ino && kept.size === found.size && kept.mtimeNs === found.mtimeNs;
  };
  if (!from || !link(to, keep)) {
    fs.renameSync(to, keep);
    try {
      if (!isKept()) throw stale(to);
      if (from) fs.renameSync(from, to);
    } catch (error) {
      putWhereNothingIs(keep, to);
      throw error;
    }
    return;
  }
  try {
    if (!isKept()) throw stale(to);
    fs.renameSync(from, to);
  } catch (error) {
    fs.unlinkSync(keep);
    throw error;
  }
}

/** A new name, `EEXIST` where something has it. */
export function putWhereNothingIs(from: Buffer, to: Buffer): void {
  if (link(from, to)) {
    fs.unlinkSync(from);
    return;
  }
  if (fs.lstatSync(to, { throwIfNoEntry: false }))
    throw Object.assign(new Error(`EEXIST: ${to} is there already`), { code: "EEXIST" });
  fs.renameSync(from, to);
}

/** False where a link can't be had. */
function link(from: Buffer, to: Buffer): boolean {
  try {
    fs.linkSync(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, ...NO_LINK)) return false;
    throw error;
  }
}

const stale = (path: Buffer): Error => Object.assign(new Error(`ESTALE: ${path} isn't what it was`), { code: "ESTALE" });
